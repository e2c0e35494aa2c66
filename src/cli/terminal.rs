//! The width of the terminal, texts that fit into it, and whether anybody reads the output.

use std::{borrow::Cow, env, io, os::fd::AsFd, time::Duration};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use terminal_size::terminal_size_of;
use textwrap::{Options, WordSplitter, WrapAlgorithm, core::display_width, wrap};
use tokio::time::interval;

/// Narrower terminals are treated as if they had this many columns.
const LEAST: usize = 40;

/// How often to look whether the reader of the output has gone.
const LOOK: Duration = Duration::from_secs(1);

/// The number of columns for the output: what the variable `COLUMNS` says, as for other programs, otherwise those
/// of the terminal. `None` if the output goes to a file or another program, where nothing must be wrapped.
pub(super) fn width() -> Option<usize> {
    width_of(io::stdout())
}

/// The same for standard error.
pub(super) fn error_width() -> Option<usize> {
    width_of(io::stderr())
}

/// The numbers of columns and lines of the terminal that standard output is.
pub(super) fn size() -> (usize, usize) {
    terminal_size_of(io::stdout())
        .map_or((80, 24), |(width, height)| (width.0.into(), height.0.into()))
}

/// Completes once nobody can read standard output any longer: the other end of its pipe is closed. Only the next write
/// would tell otherwise, and there may be nothing to write for hours.
pub(super) async fn reader_has_gone() {
    // Not an event of the runtime: it takes no files, and would make the terminal non-blocking for the shell too.
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        let output = io::stdout();
        // Asked for nothing, these are what poll tells.
        let mut polled = [PollFd::new(&output, PollFlags::empty())];
        let told = poll(&mut polled, Some(&Timespec::default()));
        if told.is_ok() && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return;
        }
    }
}

fn width_of(output: impl AsFd) -> Option<usize> {
    asked().or_else(|| Some(terminal_size_of(output)?.0.0.into())).map(|width| width.max(LEAST))
}

fn asked() -> Option<usize> {
    env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0)
}

/// Each line of the text, broken between words where it would exceed the width. What follows a break starts `indent`
/// columns further right than the line itself. A longer word stays whole, so that it can be copied.
pub(super) fn wrapped(text: &str, indent: usize, width: Option<usize>) -> String {
    text.split('\n')
        .map(|line| {
            let further = line.len() - line.trim_start().len() + indent;
            lines(line, further, width).join("\n")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// A command that a shell takes, broken between words where it would exceed the width, with a backslash.
#[cfg(feature = "simulator")]
pub(super) fn wrapped_command(command: &str, width: Option<usize>) -> String {
    let further = command.len() - command.trim_start().len() + 2;
    lines(command, further, width.map(|width| width - 2)).join(" \\\n")
}

/// One line, as lines of at most this width, all but the first of which are indented.
pub(super) fn lines(line: &str, indent: usize, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.filter(|width| display_width(line) > *width) else {
        return vec![line.to_owned()];
    };
    let indent = " ".repeat(indent);
    let options = Options::new(width)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    wrap(line, options).into_iter().map(Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_between_words_and_continues_below_its_text() {
        let text = "✓ tls       one two three\n  four";
        assert_eq!(wrapped(text, 12, None), text);
        let expected = "✓ tls       one two\n            three\n  four";
        assert_eq!(wrapped(text, 12, Some(20)), expected);
        assert_eq!(wrapped("  alpha beta", 2, Some(9)), "  alpha\n    beta");
    }

    #[test]
    fn ids_and_long_words_stay_whole() {
        let id = "04f694ad-664c-4603-a747-00edecae4f17";
        assert_eq!(wrapped(&format!("a {id}"), 0, Some(20)), format!("a\n{id}"));
    }

    #[cfg(feature = "simulator")]
    #[test]
    fn a_broken_command_is_still_one_command() {
        let command = "    program list --result failed";
        assert_eq!(wrapped_command(command, None), command);
        let expected = "    program list \\\n      --result failed";
        assert_eq!(wrapped_command(command, Some(24)), expected);
    }
}
