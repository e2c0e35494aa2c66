//! EM's model into the contract's messages. Nothing is decided here and nothing is lost.

use jiff::Timestamp;

use crate::{
    enterprise_manager::{Link, Reading, ReplicaSession, RunResult, State, parse_uuid},
    proto::v1::{self, replica_session},
};

/// The answer to a `Get`.
pub fn response(reading: &Reading) -> v1::GetReplicaSessionResponse {
    v1::GetReplicaSessionResponse {
        replica_session: Some(session(&reading.session)),
        read_time: Some(timestamp(reading.read_at)),
    }
}

/// How a watched session is.
pub(super) fn snapshot(reading: &Reading) -> v1::ReplicaSessionSnapshot {
    v1::ReplicaSessionSnapshot {
        replica_session: Some(session(&reading.session)),
        read_time: Some(timestamp(reading.read_at)),
    }
}

fn session(session: &ReplicaSession) -> v1::ReplicaSession {
    let mut message = v1::ReplicaSession {
        id: session.id.to_string(),
        uid: session.uid.clone(),
        name: session.name.clone(),
        r#type: session.r#type.clone(),
        href: session.href.clone(),
        links: session.links.iter().map(link).collect(),
        backup_server: up_link(&session.links, "BackupServerReference"),
        job: up_link(&session.links, "JobReference"),
        unmapped: session.unmapped.clone(),
        ..v1::ReplicaSession::default()
    };
    if let Some(run) = &session.run {
        message.job_uid.clone_from(&run.job_uid);
        message.job_name.clone_from(&run.job_name);
        message.job_type.clone_from(&run.job_type);
        message.create_time = run.created_at.map(timestamp);
        message.end_time = run.ended_at.map(timestamp);
        message.set_state(run.state.map_or(replica_session::State::Unspecified, state));
        message.set_result(
            run.result
                .map_or(replica_session::Result::Unspecified, result),
        );
        message.progress_percent = run.progress_percent;
        message.is_retry = run.is_retry;
        message.failure_message.clone_from(&run.failure_message);
    }
    message
}

/// The resource that a session belongs to. EM names its backup server in no other place.
fn up_link(links: &[Link], r#type: &str) -> Option<v1::ResourceReference> {
    let link = links
        .iter()
        .find(|link| link.rel == "Up" && link.r#type == r#type)?;
    Some(v1::ResourceReference {
        id: id_in(&link.href),
        name: link.name.clone(),
        r#type: link.r#type.clone(),
        href: link.href.clone(),
    })
}

/// The UUID at the end of an address's path; empty when there is none.
fn id_in(href: &str) -> String {
    let path = href.split(['?', '#']).next().unwrap_or_default();
    let last = path.trim_end_matches('/').rsplit('/').next();
    last.and_then(parse_uuid)
        .map_or_else(String::new, |uuid| uuid.to_string())
}

fn link(link: &Link) -> v1::Link {
    v1::Link {
        rel: link.rel.clone(),
        r#type: link.r#type.clone(),
        href: link.href.clone(),
        name: link.name.clone(),
    }
}

pub(super) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    // jiff counts a moment before 1970 down from its second, protobuf up from the second before.
    let nanoseconds = time.as_nanosecond();
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    prost_types::Timestamp {
        seconds: i64::try_from(seconds).expect("jiff's years are within 64-bit seconds"),
        nanos: i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).expect("below a billion"),
    }
}

fn state(state: State) -> replica_session::State {
    match state {
        State::Starting => replica_session::State::Starting,
        State::Working => replica_session::State::Working,
        State::Pausing => replica_session::State::Pausing,
        State::Resuming => replica_session::State::Resuming,
        State::Stopping => replica_session::State::Stopping,
        State::Stopped => replica_session::State::Stopped,
        State::Idle => replica_session::State::Idle,
        State::Postprocessing => replica_session::State::Postprocessing,
        State::Pending => replica_session::State::Pending,
        State::WaitingRepository => replica_session::State::WaitingRepository,
        State::WaitingSlot => replica_session::State::WaitingSlot,
        State::WaitingTape => replica_session::State::WaitingTape,
        State::ActionRequired => replica_session::State::ActionRequired,
    }
}

fn result(result: RunResult) -> replica_session::Result {
    match result {
        RunResult::None => replica_session::Result::None,
        RunResult::Success => replica_session::Result::Success,
        RunResult::Warning => replica_session::Result::Warning,
        RunResult::Failed => replica_session::Result::Failed,
    }
}
