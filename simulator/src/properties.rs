//! The properties that queries can filter and sort by.
//!
//! The vendor documents them, by names that are not those of the elements: `CreationTime` for
//! `CreationTimeUTC`. Enumerations compare by position, as documented; the position of `None`
//! among the results is unknown.

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::{
    filter::{Comparison, Operator},
    session::{Session, Task},
    views::Views,
};

/// A property of a row.
pub(crate) struct Property<T> {
    pub name: &'static str,
    value_type: ValueType,
    /// The value for a row, if it has one.
    pub value: fn(&Views, &T) -> Option<Value>,
}

/// A value that can be compared and sorted.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Text(String),
    Time(Timestamp),
    Number(i64),
    Flag(bool),
    /// The position of a value in its enumeration.
    Rank(usize),
}

/// How a value in a filter is parsed and compared.
#[derive(Clone, Copy)]
enum ValueType {
    Text,
    /// A full URN or the bare GUID.
    Uid,
    Time,
    Number,
    Flag,
    /// The values in their order.
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
/// The position of `None` is an assumption.
const RESULTS: &[&str] = &["None", "Success", "Warning", "Failed"];

/// The properties of sessions. Progress and failure message are not among them.
pub(crate) const OF_SESSIONS: &[Property<Session>] = &[
    property("UID", ValueType::Uid, |_, session| text(&session.id)),
    property("Name", ValueType::Text, |views, session| {
        Some(Value::Text(views.session_name(session)))
    }),
    property("JobType", ValueType::Text, |_, session| text(&session.job_type)),
    property("JobUid", ValueType::Uid, |_, session| text(&session.job.id)),
    property("JobName", ValueType::Text, |_, session| text(&session.job.name)),
    property("CreationTime", ValueType::Time, |views, session| time(views, Some(session.created))),
    property("EndTime", ValueType::Time, |views, session| time(views, session.ended)),
    property("State", ValueType::Enumeration(SESSION_STATES), |_, session| {
        rank(SESSION_STATES, &session.state)
    }),
    property("Result", ValueType::Enumeration(RESULTS), |_, session| {
        rank(RESULTS, &session.result)
    }),
    property("IsRetry", ValueType::Flag, |_, session| Some(Value::Flag(session.is_retry))),
    property("BackupServerUid", ValueType::Uid, |_, session| text(&session.server.id)),
    property("BackupServerName", ValueType::Text, |_, session| text(&session.server.name)),
];

/// The properties of tasks.
pub(crate) const OF_TASKS: &[Property<(Session, Task)>] = &[
    property("UID", ValueType::Uid, |_, (_, task)| text(&task.id)),
    property("Name", ValueType::Text, |views, (_, task)| Some(Value::Text(views.task_name(task)))),
    property("CreationTime", ValueType::Time, |views, (_, task)| time(views, Some(task.created))),
    property("EndTime", ValueType::Time, |views, (_, task)| time(views, task.ended)),
    property("State", ValueType::Enumeration(TASK_STATES), |_, (_, task)| {
        rank(TASK_STATES, &task.state)
    }),
    property("Result", ValueType::Enumeration(RESULTS), |_, (_, task)| rank(RESULTS, &task.result)),
    property("Reason", ValueType::Text, |_, (_, task)| task.reason.clone().map(Value::Text)),
    property("TotalSize", ValueType::Number, |_, (_, task)| Some(Value::Number(task.total_size))),
    property("JobSessionUid", ValueType::Uid, |_, (session, _)| text(&session.id)),
    property("JobUid", ValueType::Uid, |_, (session, _)| text(&session.job.id)),
    property("JobName", ValueType::Text, |_, (session, _)| text(&session.job.name)),
    property("BackupServerUid", ValueType::Uid, |_, (session, _)| text(&session.server.id)),
    property("BackupServerName", ValueType::Text, |_, (session, _)| text(&session.server.name)),
    property("VmDisplayName", ValueType::Text, |_, (_, task)| text(&task.vm)),
];

/// The property with this name, ignoring letter case.
pub(crate) fn find<T>(
    properties: &'static [Property<T>],
    name: &str,
) -> Result<&'static Property<T>, String> {
    properties
        .iter()
        .find(|property| property.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("Property [{name}] cannot be used."))
}

/// Whether a comparison holds for a row.
pub(crate) fn holds<T>(
    properties: &'static [Property<T>],
    comparison: &Comparison,
    views: &Views,
    row: &T,
) -> Result<bool, String> {
    let property = find(properties, &comparison.property)?;
    let wanted = parse(property.value_type, &comparison.value)
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

fn parse(value_type: ValueType, written: &str) -> Option<Value> {
    match value_type {
        ValueType::Text => Some(Value::Text(written.to_owned())),
        ValueType::Uid => text(&written.rsplit(':').next()?.to_lowercase()),
        ValueType::Time => parse_time(written).map(Value::Time),
        ValueType::Number => written.parse().ok().map(Value::Number),
        ValueType::Flag => written.to_lowercase().parse().ok().map(Value::Flag),
        ValueType::Enumeration(values) => rank(values, written),
    }
}

/// A time with or without a zone, or a bare date: real servers were seen to accept all three.
fn parse_time(text: &str) -> Option<Timestamp> {
    let in_utc = |time: civil::DateTime| TimeZone::UTC.to_timestamp(time).ok();
    text.parse()
        .ok()
        .or_else(|| in_utc(text.parse().ok()?))
        .or_else(|| in_utc(text.parse::<civil::Date>().ok()?.into()))
}

const fn property<T>(
    name: &'static str,
    value_type: ValueType,
    value: fn(&Views, &T) -> Option<Value>,
) -> Property<T> {
    Property { name, value_type, value }
}

#[expect(clippy::unnecessary_wraps, reason = "the table needs an option")]
fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

fn time(views: &Views, time: Option<Timestamp>) -> Option<Value> {
    time.map(|time| Value::Time(views.as_stored(time)))
}

/// The position of a value in its enumeration, ignoring letter case.
fn rank(values: &[&str], text: &str) -> Option<Value> {
    values.iter().position(|value| value.eq_ignore_ascii_case(text)).map(Value::Rank)
}
