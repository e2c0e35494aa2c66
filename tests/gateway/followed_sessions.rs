//! Sessions of one job that begin, change and end as a test says.

use jiff::{SignedDuration, Timestamp};
use simulator::{NamedResource, Session};

/// The id of a session.
pub fn id(number: u32) -> String {
    format!("f0110000-0000-4000-8000-{number:012x}")
}

/// A session that has been running for a minute.
pub fn running(number: u32, progress: i32) -> Session {
    let named = |id: &str, name: &str| NamedResource { id: id.to_owned(), name: name.to_owned() };
    Session {
        id: id(number),
        server: named("a490c017-2c1c-40ee-8bcf-73bcce6ab36f", "enterprise01.tech.local"),
        job: named("724e3c07-4e12-44f5-998f-d568071216d8", "Followed Job"),
        job_type: "Replica".to_owned(),
        created: ago(60),
        ended: None,
        state: "Working".to_owned(),
        result: "None".to_owned(),
        progress,
        is_retry: false,
        failure_message: None,
        more_links: Vec::new(),
        tasks: Vec::new(),
    }
}

/// A session that ended so many seconds ago.
pub fn ended(number: u32, seconds: i64, result: &str) -> Session {
    Session {
        created: ago(seconds + 60),
        ended: Some(ago(seconds)),
        state: "Stopped".to_owned(),
        result: result.to_owned(),
        ..running(number, 100)
    }
}

/// So many seconds ago.
pub fn ago(seconds: i64) -> Timestamp {
    Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).unwrap()
}
