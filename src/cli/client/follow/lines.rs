//! What `follow` prints on lines.

use jiff::{SignedDuration, Timestamp};

use crate::{
    cli::client::{
        json,
        text::{clean, clock, moment, result_text, state_text},
    },
    proto::v1::{
        EnterpriseManagerOutage, MissedReplicaSessions, ReplicaSession,
        replica_session_change::Kind,
    },
};

/// The line of a change: of these kinds, as the gateway knew the session at this time.
pub(super) fn change(
    read_at: Timestamp,
    kinds: &[Kind],
    may_have_skipped: bool,
    session: &ReplicaSession,
) -> String {
    let mut kinds: Vec<_> = kinds.iter().map(|kind| word(*kind)).collect();
    if may_have_skipped {
        kinds.push("some skipped");
    }
    session_line(read_at, &kinds.join(", "), &state_text(session), &result_text(session), session)
}

/// The line of a session that ran when a watch was cut off, and does not any longer.
pub(super) fn vanished(now: Timestamp, session: &ReplicaSession) -> String {
    let last = ReplicaSession { progress_percent: None, ..session.clone() };
    session_line(now, "no longer runs", "unknown", "unknown", &last)
}

/// The same as JSON. It is no event of the contract, since the gateway has said nothing of this session; the session is
/// as it was told last.
pub(super) fn vanished_object(now: Timestamp, session: &ReplicaSession) -> String {
    let object = serde_json::json!({
        "noLongerRuns": {
            "replicaSession": json::part("ReplicaSession", session),
            "readTime": format!("{now:.3}"),
        }
    });
    format!("{object}\n")
}

fn session_line(
    time: Timestamp,
    what: &str,
    state: &str,
    result: &str,
    session: &ReplicaSession,
) -> String {
    let progress = progress(session);
    let ReplicaSession { id, job_type, job_name, .. } = session;
    let [state, result] = [state, result].map(clean);
    // Whoever splits the line at two spaces finds a value in each column.
    let [progress, job_type, id, job] = [&progress, job_type, id, job_name]
        .map(|text| if text.is_empty() { "-".into() } else { clean(text) });
    remark(
        time,
        what,
        &format!("{state:<14}  {result:<8}  {progress:>5}  {job_type:<7}  {id}  {job}"),
    )
}

/// A line that is no change.
pub(super) fn remark(time: Timestamp, what: &str, text: &str) -> String {
    format!("{} UTC  {what:<15}  {text}\n", clock(time))
}

/// Progress in percent; empty if it is not known.
pub(super) fn progress(session: &ReplicaSession) -> String {
    session.progress_percent.map(|percent| format!("{percent} %")).unwrap_or_default()
}

/// What is wrong with Enterprise Manager.
pub(super) fn outage(outage: &EnterpriseManagerOutage) -> String {
    clean(&format!("{} ({})", outage.message, outage.reason))
}

/// What may be missing, and how to find it.
pub(super) fn missed(missed: &MissedReplicaSessions) -> String {
    let range = missed.end_time.unwrap_or_default();
    let written = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let from = range.start_time.and_then(moment).map(written);
    // The next full second, so that the range is not shorter than it was.
    let second = SignedDuration::from_secs(1);
    let before = range.end_time.and_then(moment).and_then(|time| time.checked_add(second).ok());
    let before = before.map(written);
    let (since, until) = (from.as_deref(), before.as_deref());
    let option = |name: &str, value: Option<&str>| {
        value.map(|value| format!(" --{name} {value}")).unwrap_or_default()
    };
    format!(
        "the ends of runs may be missing here: of any that ended{}{}; to see them, use list with the same filter and{}{}",
        since.map(|since| format!(" from {since}")).unwrap_or_default(),
        until.map(|until| format!(" to {until}")).unwrap_or_default(),
        option("ended-from", since),
        option("ended-before", until),
    )
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Appeared => "appeared",
        Kind::Changed => "changed",
        Kind::Ended => "ended",
        Kind::Left => "left",
        Kind::Removed => "removed",
        Kind::Unspecified => "unknown",
    }
}
