//! Writes the manual pages and shell completions of `replica-session-gateway`: `pages FOLDER` makes
//! `man1/*.1`, and a file for each shell under the name by which the shell finds it.
//!
//! A crate of its own, so that the gateway does not contain what only packages need.

use std::{
    env,
    error::Error,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use clap::{Arg, Command};
use clap_complete::Shell;
use replica_session_gateway::cli::command;

const NAME: &str = "replica-session-gateway";

/// What the manual of `serve` says of the service in the packages.
const SERVICE: &str = "The packages install the unit replica-session-gateway.service, which runs serve with the \
    variables in /etc/replica-session-gateway/gateway.env and the password in \
    /etc/replica-session-gateway/em-password. Nothing starts before these are there: see \
    /usr/share/doc/replica-session-gateway/README.md.";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).map(PathBuf::from).ok_or("usage: pages FOLDER")?;
    let manual = folder.join("man1");
    fs::create_dir_all(&manual)?;
    // The pages are of a version, not of the build that has written them.
    let command_line = command().long_version(env!("CARGO_PKG_VERSION"));
    let command_line = command_line.mut_subcommand("serve", |serve| serve.after_long_help(SERVICE));
    clap_mangen::generate_to(with_variables(command_line), &manual)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        complete(shell, &folder)?;
    }
    Ok(())
}

/// Names each option's variable in its help. The manual pages would do so by themselves only for
/// options without a heading.
fn with_variables(command: Command) -> Command {
    command.mut_subcommands(with_variables).mut_args(|option: Arg| {
        let Some(variable) = option.get_env().map(|name| name.to_string_lossy().into_owned())
        else {
            return option;
        };
        let help = option.get_long_help().or(option.get_help()).map(ToString::to_string);
        let help = help.unwrap_or_default();
        option.hide_env(true).long_help(format!("{help}\n\nVariable: {variable}"))
    })
}

/// Writes the completions for a shell.
fn complete(shell: Shell, folder: &Path) -> io::Result<()> {
    let (subfolder, file) = match shell {
        Shell::Bash => ("bash", NAME.to_owned()),
        Shell::Fish => ("fish", format!("{NAME}.fish")),
        Shell::Zsh => ("zsh", format!("_{NAME}")),
        other => return Err(io::Error::new(ErrorKind::Unsupported, other.to_string())),
    };
    fs::create_dir_all(folder.join(subfolder))?;
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), NAME, &mut text);
    if shell == Shell::Bash {
        text = with_subcommands(&text);
    }
    fs::write(folder.join(subfolder).join(file), text)
}

/// Mends completions for bash. If a program's name has hyphens, `clap_complete` 4.6 stores the
/// subcommand as `my__program__subcmd__serve`, but looks for its options under
/// `my__subcmd__program__subcmd__serve` (<https://github.com/clap-rs/clap/issues/6421>).
fn with_subcommands(script: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(script)
        .replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__"))
        .into_bytes()
}
