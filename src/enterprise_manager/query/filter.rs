//! Builds expressions in EM's filter language from typed values.
//!
//! `;` is AND, `,` is OR, and parentheses group. A value may be enclosed in double quotes, in which
//! a double quote is doubled. EM silently drops spaces from an unquoted value, and an unquoted `;`
//! would change the meaning of the expression, so every value is quoted.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use uuid::Uuid;

use crate::enterprise_manager::model::{RunResult, SessionState};

/// Maximum length of a name in a filter, in characters. The whole request must fit in the 16 kB
/// that HTTP.sys accepts, and each character can take 12 bytes.
pub const MAX_NAME: usize = 255;

/// Selects the sessions that match every field that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SessionFilter {
    /// `JobUid`.
    pub job_id: Option<Uuid>,
    /// `JobName`.
    pub job_name: Option<Name>,
    /// `BackupServerUid`.
    pub backup_server_id: Option<Uuid>,
    /// `BackupServerName`.
    pub backup_server_name: Option<Name>,
    /// `State` is any of these; empty matches every state.
    pub states: Vec<SessionState>,
    /// `Result` is any of these; empty matches every result.
    pub results: Vec<RunResult>,
    /// `IsRetry`.
    pub is_retry: Option<bool>,
    /// `CreationTime`, the filter's name for the element `CreationTimeUTC`.
    pub created: Period,
    /// `EndTime`, the filter's name for the element `EndTimeUTC`.
    pub ended: Period,
}

/// A name that can be used in a filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

/// Why a name cannot be used in a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidName {
    /// It has more than [`MAX_NAME`] characters.
    TooLong,
    /// It has a control character. HTTP.sys refuses some of them, and how EM interprets the others
    /// in a filter is unknown.
    ControlCharacter,
}

/// A half-open period of time; an absent bound is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Period {
    /// Inclusive start.
    pub from: Option<Timestamp>,
    /// Exclusive end.
    pub before: Option<Timestamp>,
}

impl Name {
    /// Validates a name for use in a filter.
    ///
    /// # Errors
    ///
    /// If the name has a control character or more than [`MAX_NAME`] characters.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if text.chars().any(char::is_control) {
            return Err(InvalidName::ControlCharacter);
        }
        if text.chars().count() > MAX_NAME {
            return Err(InvalidName::TooLong);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name verbatim.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl SessionFilter {
    /// The expression in EM's filter language; empty if it matches all sessions. Equal filters have
    /// equal expressions.
    pub fn expression(&self) -> String {
        let uid = |kind: &str, id: &Uuid| format!("urn:veeam:{kind}:{id}");
        let mut all = All::default();
        if let Some(id) = &self.job_id {
            all.compare("JobUid", "==", &uid("Job", id));
        }
        if let Some(name) = &self.job_name {
            all.compare("JobName", "==", &name.0);
        }
        if let Some(id) = &self.backup_server_id {
            all.compare("BackupServerUid", "==", &uid("BackupServer", id));
        }
        if let Some(name) = &self.backup_server_name {
            all.compare("BackupServerName", "==", &name.0);
        }
        all.any("State", self.states.iter().map(|state| state.text()));
        all.any("Result", self.results.iter().map(|result| result.text()));
        if let Some(is_retry) = self.is_retry {
            all.compare("IsRetry", "==", if is_retry { "true" } else { "false" });
        }
        all.period("CreationTime", self.created);
        all.period("EndTime", self.ended);
        all.0
    }
}

/// The expression that selects the tasks of one session.
pub(crate) fn tasks_of(session_uid: &str) -> String {
    let mut all = All::default();
    all.compare("JobSessionUid", "==", session_uid);
    all.0
}

/// A conjunction of comparisons.
#[derive(Default)]
struct All(String);

impl All {
    fn compare(&mut self, property: &str, operator: &str, value: &str) {
        self.and();
        push_comparison(&mut self.0, property, operator, value);
    }

    fn any<'v>(&mut self, property: &str, values: impl Iterator<Item = &'v str>) {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return;
        }
        self.and();
        self.0.push('(');
        while let Some(value) = values.next() {
            push_comparison(&mut self.0, property, "==", value);
            if values.peek().is_some() {
                self.0.push(',');
            }
        }
        self.0.push(')');
    }

    fn period(&mut self, property: &str, period: Period) {
        if let Some(from) = period.from {
            self.compare(property, ">=", &time(from));
        }
        if let Some(before) = period.before {
            self.compare(property, "<", &time(before));
        }
    }

    fn and(&mut self) {
        if !self.0.is_empty() {
            self.0.push(';');
        }
    }
}

fn push_comparison(expression: &mut String, property: &str, operator: &str, value: &str) {
    expression.push_str(property);
    expression.push_str(operator);
    expression.push('"');
    expression.push_str(&value.replace('"', "\"\""));
    expression.push('"');
}

/// Formats a timestamp for a filter. EM stores at most microseconds, so rounding up to the next one
/// changes neither `>=` nor `<`.
fn time(time: Timestamp) -> String {
    let to_microseconds = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::Ceil);
    time.round(to_microseconds).unwrap_or(time).to_string()
}
