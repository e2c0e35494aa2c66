//! Shows what `follow` is told: as a table on a terminal, as lines, or as JSON.

use std::io;

use jiff::Timestamp;

use super::{board, lines, told::Told};
use crate::{
    cli::{
        client::{
            json,
            screen::is_live_terminal,
            text::{clean, moment},
        },
        print_error, terminal, try_print,
    },
    proto::v1::{
        ReplicaSessionChange, WatchSessionsResponse, replica_session_change::Kind,
        watch_sessions_response::Event,
    },
};

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A table that is redrawn in its place.
    Board,
    /// One line per change.
    Lines,
    /// One JSON object per line.
    Json,
}

/// Where events are shown.
pub(super) struct FollowScreen {
    form: Form,
    told: Told,
    /// Why Enterprise Manager currently gives no answer.
    outage: Option<String>,
    /// Whether something may be missing of what happened in the outage.
    misses_some: bool,
    /// Why the gateway currently says nothing.
    cut_off: Option<String>,
    /// What the table was drawn with: its lines, and the terminal's size.
    drawn: (usize, (usize, usize)),
}

impl FollowScreen {
    /// In the form that suits the standard output of this process. A table shows states; whoever wants certain
    /// kinds of changes gets lines.
    pub(super) fn for_output(json: bool, wanted: Vec<Kind>) -> Self {
        let form = if json {
            Form::Json
        } else if is_live_terminal() && wanted.is_empty() {
            Form::Board
        } else {
            Form::Lines
        };
        let told = Told::new(wanted);
        Self { form, told, outage: None, misses_some: false, cut_off: None, drawn: (0, (0, 0)) }
    }

    /// Whether the table must be redrawn regularly, for the times in it.
    pub(super) fn is_live(&self) -> bool {
        self.form == Form::Board
    }

    /// Shows an event, unless it repeats what has been shown.
    pub(super) fn show(&mut self, event: &WatchSessionsResponse) -> io::Result<()> {
        self.cut_off = None;
        match &event.event {
            Some(Event::Change(change)) => {
                if let Some(kinds) = self.told.news(change) {
                    self.say(event, || change_line(change, &kinds))?;
                }
            }
            Some(Event::Current(current)) => {
                let now = current.read_time.and_then(moment).unwrap_or_else(Timestamp::now);
                for session in self.told.vanished() {
                    match self.form {
                        Form::Board => {}
                        Form::Lines => try_print(&lines::vanished(now, &session))?,
                        Form::Json => try_print(&lines::vanished_object(now, &session))?,
                    }
                }
                let was_out = self.outage.take().is_some();
                let text = if std::mem::take(&mut self.misses_some) {
                    "Enterprise Manager answers again; what may be missing is said above"
                } else {
                    "Enterprise Manager answers again; everything until now has been told"
                };
                let line =
                    || if was_out { lines::remark(now, "recovered", text) } else { String::new() };
                self.say(event, line)?;
            }
            Some(Event::Outage(outage)) => {
                let text = lines::outage(outage);
                // Each attempt that fails is an event.
                let is_new = self.outage.as_ref() != Some(&text);
                self.outage = Some(text.clone());
                let line = || {
                    let line = || lines::remark(Timestamp::now(), "outage", &text);
                    is_new.then(line).unwrap_or_default()
                };
                self.say(event, line)?;
            }
            Some(Event::Missed(missed)) => {
                self.misses_some = self.outage.is_some();
                let text = lines::missed(missed);
                match self.form {
                    Form::Board => self.leave_above(&text)?,
                    Form::Lines => {}
                    Form::Json => print_error(&(text.clone() + "\n")),
                }
                self.say(event, || lines::remark(Timestamp::now(), "missed", &text))?;
            }
            // Whoever reads this sees that the program is alive; the program watches over the watch.
            Some(Event::Heartbeat(_)) | None => {}
        }
        self.draw()
    }

    /// Prints the event as JSON, or the line.
    fn say(&self, event: &WatchSessionsResponse, line: impl FnOnce() -> String) -> io::Result<()> {
        match self.form {
            Form::Lines => try_print(&line()),
            Form::Json => try_print(&json::line("WatchSessionsResponse", event)),
            Form::Board => Ok(()),
        }
    }

    /// The watch begins without a token, and the gateway tells again what runs.
    pub(super) fn begin_anew(&mut self) {
        self.told.begin_anew();
    }

    /// Shows a remark of the program itself, in addition to the events.
    pub(super) fn note(&mut self, text: &str) {
        if self.form == Form::Board {
            self.cut_off = Some(text.to_owned());
            self.redraw();
        } else {
            print_error(&(clean(text) + "\n"));
        }
    }

    /// Draws the table again, with the current time.
    pub(super) fn redraw(&mut self) {
        // If that fails, the next event does as well, and ends the program.
        drop(self.draw());
    }

    fn draw(&mut self) -> io::Result<()> {
        if self.form != Form::Board {
            return Ok(());
        }
        let size = terminal::size();
        let troubles: Vec<_> =
            [&self.outage, &self.cut_off].into_iter().filter_map(Option::as_deref).collect();
        let lines = board::lines(&self.told, &troubles, Timestamp::now(), size);
        // Each line clears the rest of the one that it replaces, which flickers less than to clear all before.
        let text: String = lines.iter().flat_map(|line| [line, "\x1b[K\n"]).collect();
        let text = self.back_to_top(size) + &text + "\x1b[J";
        self.drawn = (lines.len(), size);
        try_print(&text)
    }

    /// Leaves a text above the table for good, as it is to be read whenever somebody looks.
    fn leave_above(&mut self, text: &str) -> io::Result<()> {
        let size = terminal::size();
        let above = terminal::wrapped(&clean(text), 2, Some(size.0.saturating_sub(1).max(1)));
        let text = self.back_to_top(size) + "\x1b[J" + &above + "\n";
        self.drawn = (0, size);
        try_print(&text)
    }

    /// Moves the cursor to where the table begins.
    fn back_to_top(&self, size: (usize, usize)) -> String {
        match self.drawn {
            (0, _) => String::new(),
            // A terminal of another size has broken or moved its lines.
            (_, before) if before != size => "\x1b[2J\x1b[H".to_owned(),
            (drawn, _) => format!("\x1b[{drawn}A\r"),
        }
    }
}

fn change_line(change: &ReplicaSessionChange, kinds: &[Kind]) -> String {
    let read_at = change.read_time.and_then(moment).unwrap_or_else(Timestamp::now);
    let session = change.replica_session.clone().unwrap_or_default();
    lines::change(read_at, kinds, change.may_have_skipped, &session)
}
