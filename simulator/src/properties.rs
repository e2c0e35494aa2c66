//! What queries can filter and sort by. The names are not those of the elements: `CreationTime`
//! here is `CreationTimeUTC` there.

use jiff::{Timestamp, civil, tz::TimeZone};

use super::{
    filter::{Comparison, Operator},
    session::{Session, Task},
    views::Views,
};

/// A property of a row.
pub(super) struct Property<T> {
    pub name: &'static str,
    kind: Kind,
    /// Its value, if the row has one.
    pub value: fn(&Views, &T) -> Option<Value>,
}

/// A value that can be compared and sorted.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Text(String),
    Time(Timestamp),
    Number(i64),
    Flag(bool),
    /// The place of a value in its enumeration.
    Place(usize),
}

/// How the value in a filter is read.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// A full URN or the bare GUID.
    Uid,
    Time,
    Number,
    Flag,
    /// Values in their order.
    Enumeration(&'static [&'static str]),
}

const SESSION_STATES: &[&str] = &[
    "Starting",
    "Stopping",
    "Working",
    "Pausing",
    "Resuming",
    "Stopped",
    "Idle",
    "Postprocessing",
    "Pending",
    "WaitingRepository",
    "WaitingSlot",
    "WaitingTape",
    "ActionRequired",
];
const TASK_STATES: &[&str] = &["InProgress", "Pending", "Completed"];
/// Where `None` stands is not known.
const RESULTS: &[&str] = &["None", "Success", "Warning", "Failed"];

/// What sessions can be filtered and sorted by; progress and failure message are not among it.
pub(super) const OF_SESSIONS: &[Property<Session>] = &[
    property("UID", Kind::Uid, |_, session| text(&session.id)),
    property("Name", Kind::Text, |views, session| {
        Some(Value::Text(views.session_name(session)))
    }),
    property("JobType", Kind::Text, |_, session| text(&session.job_type)),
    property("JobUid", Kind::Uid, |_, session| text(&session.job.id)),
    property("JobName", Kind::Text, |_, session| text(&session.job.name)),
    property("CreationTime", Kind::Time, |views, session| {
        time(views, Some(session.created))
    }),
    property("EndTime", Kind::Time, |views, session| {
        time(views, session.ended)
    }),
    property("State", Kind::Enumeration(SESSION_STATES), |_, session| {
        place(SESSION_STATES, &session.state)
    }),
    property("Result", Kind::Enumeration(RESULTS), |_, session| {
        place(RESULTS, &session.result)
    }),
    property("IsRetry", Kind::Flag, |_, session| {
        Some(Value::Flag(session.is_retry))
    }),
    property("BackupServerUid", Kind::Uid, |_, session| {
        text(&session.server.id)
    }),
    property("BackupServerName", Kind::Text, |_, session| {
        text(&session.server.name)
    }),
];

/// What tasks can be filtered and sorted by.
pub(super) const OF_TASKS: &[Property<(Session, Task)>] = &[
    property("UID", Kind::Uid, |_, (_, task)| text(&task.id)),
    property("Name", Kind::Text, |views, (_, task)| {
        Some(Value::Text(views.task_name(task)))
    }),
    property("CreationTime", Kind::Time, |views, (_, task)| {
        time(views, Some(task.created))
    }),
    property("EndTime", Kind::Time, |views, (_, task)| {
        time(views, task.ended)
    }),
    property("State", Kind::Enumeration(TASK_STATES), |_, (_, task)| {
        place(TASK_STATES, &task.state)
    }),
    property("Result", Kind::Enumeration(RESULTS), |_, (_, task)| {
        place(RESULTS, &task.result)
    }),
    property("Reason", Kind::Text, |_, (_, task)| {
        task.reason.clone().map(Value::Text)
    }),
    property("TotalSize", Kind::Number, |_, (_, task)| {
        Some(Value::Number(task.total_size))
    }),
    property("JobSessionUid", Kind::Uid, |_, (session, _)| {
        text(&session.id)
    }),
    property("JobUid", Kind::Uid, |_, (session, _)| text(&session.job.id)),
    property("JobName", Kind::Text, |_, (session, _)| {
        text(&session.job.name)
    }),
    property("BackupServerUid", Kind::Uid, |_, (session, _)| {
        text(&session.server.id)
    }),
    property("BackupServerName", Kind::Text, |_, (session, _)| {
        text(&session.server.name)
    }),
    property("VmDisplayName", Kind::Text, |_, (_, task)| text(&task.vm)),
];

/// The property of this name, in any letter case.
pub(super) fn find<T>(
    properties: &'static [Property<T>],
    name: &str,
) -> Result<&'static Property<T>, String> {
    properties
        .iter()
        .find(|property| property.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("Property [{name}] cannot be used."))
}

/// Whether a comparison holds for a row.
pub(super) fn holds<T>(
    properties: &'static [Property<T>],
    comparison: &Comparison,
    views: &Views,
    row: &T,
) -> Result<bool, String> {
    let property = find(properties, &comparison.property)?;
    let wanted = read(property.kind, &comparison.value)
        .ok_or_else(|| format!("Value [{}] cannot be used.", comparison.value))?;
    let Some(value) = (property.value)(views, row) else {
        return Ok(comparison.operator == Operator::NotEqual);
    };
    Ok(match comparison.operator {
        Operator::Equal => value == wanted,
        Operator::NotEqual => value != wanted,
        Operator::Less => value < wanted,
        Operator::LessOrEqual => value <= wanted,
        Operator::Greater => value > wanted,
        Operator::GreaterOrEqual => value >= wanted,
    })
}

fn read(kind: Kind, written: &str) -> Option<Value> {
    match kind {
        Kind::Text => Some(Value::Text(written.to_owned())),
        Kind::Uid => text(&written.rsplit(':').next()?.to_lowercase()),
        Kind::Time => read_time(written).map(Value::Time),
        Kind::Number => written.parse().ok().map(Value::Number),
        Kind::Flag => written.to_lowercase().parse().ok().map(Value::Flag),
        Kind::Enumeration(values) => place(values, written),
    }
}

/// With a zone, without one, or a bare date: all have been accepted.
fn read_time(text: &str) -> Option<Timestamp> {
    let in_utc = |time: civil::DateTime| TimeZone::UTC.to_timestamp(time).ok();
    text.parse()
        .ok()
        .or_else(|| in_utc(text.parse().ok()?))
        .or_else(|| in_utc(text.parse::<civil::Date>().ok()?.into()))
}

const fn property<T>(
    name: &'static str,
    kind: Kind,
    value: fn(&Views, &T) -> Option<Value>,
) -> Property<T> {
    Property { name, kind, value }
}

#[expect(clippy::unnecessary_wraps, reason = "as the table wants it")]
fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

fn time(views: &Views, time: Option<Timestamp>) -> Option<Value> {
    time.map(|time| Value::Time(views.as_stored(time)))
}

/// In any letter case.
fn place(values: &[&str], text: &str) -> Option<Value> {
    values
        .iter()
        .position(|value| value.eq_ignore_ascii_case(text))
        .map(Value::Place)
}
