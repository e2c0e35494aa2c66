//! The table that `follow` draws on a terminal, and draws again in the same place.

use jiff::Timestamp;

use super::{lines::progress, told::Told};
use crate::{
    cli::client::{
        table::Table,
        text::{clean, clock, cut, result_text, started_and_took, state_text},
    },
    proto::v1::{ReplicaSession, replica_session::State},
};

/// The sessions, with the order in which a person asks for them.
const SESSIONS: Table<8> = Table {
    heading: ["ID", "STARTED (UTC)", "TOOK", "STATE", "DONE", "RESULT", "TYPE", "JOB"],
    by_importance: [3, 4, 5, 7, 2, 1, 6, 0],
};

/// The lines of the table: no wider than the terminal, and fewer than it has, so that the last stays free.
pub(super) fn lines(
    told: &Told,
    troubles: &[&str],
    now: Timestamp,
    (width, height): (usize, usize),
) -> Vec<String> {
    let (running, ended) = (told.running(), told.ended());
    let mut lines = vec![format!(
        "{} UTC  {} running, {} ended since the start",
        clock(now),
        running.len(),
        ended.len()
    )];
    lines.extend(troubles.iter().map(|trouble| clean(trouble)));
    let count = running.len() + ended.len();
    // Without the heading and the line that counts the rest.
    let room = height.saturating_sub(lines.len() + 3).max(1);
    // However many run, the last ends stay visible.
    let of_running = room.saturating_sub(ended.len().min(room / 2));
    let rows = running.iter().take(of_running).chain(&ended).take(room);
    let rows = rows.map(|session| row(session, now));
    if count > 0 {
        lines.extend(SESSIONS.first_lines(&rows.collect::<Vec<_>>(), width));
    }
    if count > room {
        lines.push(format!("… and {} more", count - room));
    }
    // A full line makes some terminals start a new one.
    let mut lines: Vec<_> = lines.iter().map(|line| cut(line, width.saturating_sub(1))).collect();
    lines.truncate(height.saturating_sub(1));
    lines
}

fn row(session: &ReplicaSession, now: Timestamp) -> [String; 8] {
    let now = (session.state() != State::Stopped).then_some(now);
    let [started, took] = started_and_took(session.create_time, session.end_time, now);
    [
        session.id.clone(),
        started,
        took,
        state_text(session),
        progress(session),
        result_text(session),
        session.job_type.clone(),
        session.job_name.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use textwrap::core::display_width;

    use super::*;
    use crate::proto::v1::{ReplicaSessionChange, replica_session_change::Kind};

    fn told(count: usize, name: &str) -> Told {
        let mut told = Told::default();
        for number in 0..count {
            let session = ReplicaSession {
                id: format!("5e550000-0000-4000-8000-{number:012}"),
                job_name: name.to_owned(),
                state: State::Working.into(),
                ..ReplicaSession::default()
            };
            told.news(&ReplicaSessionChange {
                replica_session: Some(session),
                kinds: vec![Kind::Appeared.into()],
                ..ReplicaSessionChange::default()
            });
        }
        told
    }

    #[test]
    fn the_table_is_never_larger_than_the_terminal() {
        let hostile = format!("\x1b[2J{}", "数据库 replication ".repeat(20));
        for (width, height) in [(1, 1), (20, 3), (40, 5), (80, 24), (200, 60)] {
            for count in [0, 1, 3, 500] {
                let troubles = ["Enterprise Manager gives no answer \x1b]0;\x07".repeat(9)];
                let troubles = [troubles[0].as_str()];
                let told = told(count, &hostile);
                let lines = lines(&told, &troubles, Timestamp::UNIX_EPOCH, (width, height));
                assert!(lines.len() < height.max(2), "{width} {height} {count}: {lines:?}");
                for line in &lines {
                    assert!(display_width(line) < width.max(2), "{width} {height} {count}: {line}");
                    assert!(!line.contains(char::is_control), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn the_last_ends_are_visible_however_many_run() {
        let mut told = told(30, "\u{202e}Job");
        let failed = ReplicaSession {
            id: "f".to_owned(),
            job_name: "Broken".to_owned(),
            state: State::Stopped.into(),
            ..ReplicaSession::default()
        };
        told.news(&ReplicaSessionChange {
            replica_session: Some(failed),
            kinds: vec![Kind::Ended.into()],
            ..ReplicaSessionChange::default()
        });
        let lines = lines(&told, &[], Timestamp::UNIX_EPOCH, (80, 24));
        assert!(lines[lines.len() - 2].contains("Broken"), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("… and 11 more"));
        assert!(!lines.concat().contains('\u{202e}'), "{lines:?}");
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let lines = lines(&told(30, "Job"), &[], Timestamp::UNIX_EPOCH, (80, 24));
        assert_eq!(lines[0], "1970-01-01 00:00:00 UTC  30 running, 0 ended since the start");
        assert!(lines[1].starts_with("STATE "), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("… and 10 more"));
        assert_eq!(lines.len(), 23);
    }
}
