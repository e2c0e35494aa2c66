//! Builds expressions in EM's filter language from typed values.
//!
//! `;` is AND, `,` is OR, and parentheses group. A value may be enclosed in double quotes, in which
//! a double quote is doubled. EM silently drops spaces from an unquoted value, and an unquoted `;`
//! would change the meaning of the expression, so every value is quoted.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use uuid::Uuid;

use crate::enterprise_manager::{
    SessionId,
    model::{RunResult, SessionState},
};

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
    /// How far the session is.
    pub lately: Option<Lately>,
}

/// How far a session is: what followers are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lately {
    /// It is not over, or has ended since. The only alternative of two properties that the gateway asks for.
    RunningOrEnded {
        /// Inclusive.
        since: Timestamp,
    },
    /// It is not over.
    Running,
    /// It has ended since.
    Ended {
        /// Inclusive.
        since: Timestamp,
    },
}

/// A name that can be used in a filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        self.expression_within(self.created)
    }

    /// The same with this period of creation in place of the filter's own.
    pub(super) fn expression_within(&self, created: Period) -> String {
        let mut all = job_and_server(
            (self.job_id, self.job_name.as_ref()),
            (self.backup_server_id, self.backup_server_name.as_ref()),
        );
        all.extend(any("State", self.states.iter().map(|state| state.text())));
        all.extend(any("Result", self.results.iter().map(|result| result.text())));
        all.extend(self.is_retry.map(|is_retry| equal("IsRetry", &is_retry.to_string())));
        all.extend(created.comparisons("CreationTime"));
        all.extend(self.ended.comparisons("EndTime"));
        all.extend(self.lately.map(Lately::expression));
        all.join(";")
    }
}

impl Lately {
    fn expression(self) -> String {
        let running = || comparison("State", "!=", SessionState::Stopped.text());
        let ended = |since| comparison("EndTime", ">=", &time(since));
        match self {
            Self::RunningOrEnded { since } => format!("({},{})", running(), ended(since)),
            Self::Running => running(),
            Self::Ended { since } => ended(since),
        }
    }
}

impl Period {
    /// That the property lies in the period.
    pub(super) fn comparisons(self, property: &str) -> impl Iterator<Item = String> {
        let from = self.from.map(|from| comparison(property, ">=", &time(from)));
        let before = self.before.map(|before| comparison(property, "<", &time(before)));
        from.into_iter().chain(before)
    }
}

/// That an item is of this job and of this backup server, each by id, by name, or by both.
pub(super) fn job_and_server(
    (job_id, job_name): (Option<Uuid>, Option<&Name>),
    (server_id, server_name): (Option<Uuid>, Option<&Name>),
) -> Vec<String> {
    let uid = |kind: &str, id: Uuid| format!("urn:veeam:{kind}:{id}");
    let mut all = Vec::new();
    all.extend(job_id.map(|id| equal("JobUid", &uid("Job", id))));
    all.extend(job_name.map(|name| equal("JobName", &name.0)));
    all.extend(server_id.map(|id| equal("BackupServerUid", &uid("BackupServer", id))));
    all.extend(server_name.map(|name| equal("BackupServerName", &name.0)));
    all
}

/// The expression that selects these sessions.
pub(crate) fn sessions_of(ids: &[SessionId]) -> String {
    let urns: Vec<_> = ids.iter().map(|id| equal("UID", &id.urn())).collect();
    urns.join(",")
}

/// The expression that selects the tasks of one session.
pub(crate) fn tasks_of(session_uid: &str) -> String {
    equal("JobSessionUid", session_uid)
}

pub(super) fn equal(property: &str, value: &str) -> String {
    comparison(property, "==", value)
}

pub(super) fn comparison(property: &str, operator: &str, value: &str) -> String {
    format!("{property}{operator}\"{}\"", value.replace('"', "\"\""))
}

/// That the property has one of these values; `None` if there are none.
pub(super) fn any<'v>(property: &str, values: impl Iterator<Item = &'v str>) -> Option<String> {
    let all: Vec<_> = values.map(|value| equal(property, value)).collect();
    (!all.is_empty()).then(|| format!("({})", all.join(",")))
}

/// Formats a timestamp for a filter. EM stores at most microseconds, so rounding up to the next one
/// changes neither `>=` nor `<`.
fn time(time: Timestamp) -> String {
    let to_microseconds = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::Ceil);
    time.round(to_microseconds).unwrap_or(time).to_string()
}
