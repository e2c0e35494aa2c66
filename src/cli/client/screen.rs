//! Shows a watched run: as a bar on a terminal, as lines, or as JSON.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use jiff::Timestamp;

use super::{
    json,
    text::{clean, clock, human, moment, result_text, state_text},
};
use crate::{
    cli::{print, print_error, terminal},
    proto::v1::{
        EnterpriseManagerOutage, ReplicaSession, ReplicaSessionSnapshot,
        WatchReplicaSessionResponse, replica_session::State, watch_replica_session_response::Event,
    },
};

/// Whether standard output is a terminal on which a line can be drawn again.
pub(super) fn is_live_terminal() -> bool {
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_dumb
}

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A bar on one line that is redrawn.
    Bar {
        /// Columns of the terminal.
        width: usize,
    },
    /// One line per change.
    Lines,
    /// One JSON object per line.
    Json,
}

impl Form {
    /// The form that suits the standard output of this process.
    pub(super) fn for_output(json: bool) -> Self {
        if json {
            Self::Json
        } else if is_live_terminal() {
            let (width, _) = terminal::size();
            Self::Bar { width }
        } else {
            Self::Lines
        }
    }
}

/// Where events are shown.
pub(super) struct Screen {
    form: Form,
    /// The session as it was last shown.
    session: Option<ReplicaSession>,
    /// Why the session currently cannot be read.
    trouble: Option<String>,
}

impl Screen {
    pub(super) fn new(form: Form) -> Self {
        Self { form, session: None, trouble: None }
    }

    /// Whether the line must be redrawn regularly, for the time in it.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.form, Form::Bar { .. }) && self.session.is_some()
    }

    /// Shows an event. Skips a session that is already shown in this state, since every new watch
    /// starts with it.
    pub(super) fn show(&mut self, event: &WatchReplicaSessionResponse) {
        match &event.event {
            Some(Event::Snapshot(snapshot)) => {
                let is_shown = self.session == snapshot.replica_session && self.trouble.is_none();
                self.trouble = None;
                if !is_shown {
                    self.show_snapshot(event, snapshot);
                }
            }
            Some(Event::Outage(outage)) => {
                let trouble = trouble_text(outage);
                let line = format!("{} UTC  {trouble}\n", clock(Timestamp::now()));
                self.trouble = Some(trouble);
                match self.form {
                    Form::Bar { .. } => self.redraw(),
                    Form::Lines => print(&line),
                    Form::Json => print(&json::line("WatchReplicaSessionResponse", event)),
                }
            }
            // Whoever reads this sees that the program is alive; the program watches over the watch.
            Some(Event::Heartbeat(_)) | None => {}
        }
    }

    fn show_snapshot(
        &mut self,
        event: &WatchReplicaSessionResponse,
        snapshot: &ReplicaSessionSnapshot,
    ) {
        let session = snapshot.replica_session.clone().unwrap_or_default();
        if self.form == Form::Json {
            print(&json::line("WatchReplicaSessionResponse", event));
        } else if self.session.is_none() {
            print(&(heading(&session) + "\n"));
        }
        if self.form == Form::Lines {
            let read = snapshot.read_time.and_then(moment).unwrap_or_default();
            let run = run_text(&session, read);
            print(&format!("{} UTC  {run}\n", clock(read)));
        }
        self.session = Some(session);
        self.redraw();
    }

    /// Shows a remark of the program itself, in addition to the events.
    pub(super) fn note(&mut self, text: &str) {
        if let Form::Bar { .. } = self.form {
            self.trouble = Some(text.to_owned());
            self.redraw();
        } else {
            print_error(&format!("{text}\n"));
        }
    }

    /// Redraws the live line.
    pub(super) fn redraw(&mut self) {
        let Form::Bar { width } = self.form else { return };
        let run = self.session.as_ref().map(|session| {
            let run = run_text(session, Timestamp::now());
            format!("{}  {run}", bar(session))
        });
        let parts: Vec<_> = [run, self.trouble.clone()].into_iter().flatten().collect();
        let line = clean(&parts.join("  "));
        // One column stays free: a full line makes some terminals start a new one.
        let visible: String = line.chars().take(width.saturating_sub(1)).collect();
        print(&format!("\r{visible}\x1b[K"));
    }

    /// Ends the live line.
    pub(super) fn close(&mut self) {
        if let Form::Bar { .. } = self.form {
            print("\n");
        }
    }
}

fn heading(session: &ReplicaSession) -> String {
    let server = session
        .backup_server
        .as_ref()
        .map_or_else(String::new, |server| format!(" on {}", server.name));
    clean(&format!("{}{server}", session.name))
}

/// Progress, state, and how long the run has taken at `now`.
fn run_text(session: &ReplicaSession, now: Timestamp) -> String {
    let mut text = String::new();
    if let Some(percent) = session.progress_percent {
        text = format!("{percent:>3} %  ");
    }
    text += &state_text(session);
    let created = session.create_time.and_then(moment);
    if session.state() == State::Stopped {
        text = format!("{text}: {}", result_text(session));
        let ended = session.end_time.and_then(moment);
        if let (Some(created), Some(ended)) = (created, ended) {
            text = format!("{text}, after {}", human(ended.duration_since(created)));
        }
    } else if let Some(created) = created {
        text = format!("{text}, for {}", human(now.duration_since(created)));
    }
    clean(&text)
}

fn bar(session: &ReplicaSession) -> String {
    const WIDTH: usize = 24;
    let percent = session.progress_percent.unwrap_or_default().clamp(0, 100);
    let done = usize::try_from(percent).unwrap_or_default() * WIDTH / 100;
    format!("[{}{}]", "#".repeat(done), "-".repeat(WIDTH - done))
}

fn trouble_text(outage: &EnterpriseManagerOutage) -> String {
    let next = outage.next_attempt_time.and_then(moment).map_or_else(String::new, |next| {
        format!(", next attempt at {} UTC", next.strftime("%H:%M:%S"))
    });
    clean(&format!("{} ({}){next}", outage.message, outage.reason))
}
