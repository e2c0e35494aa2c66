//! Converts EM's model to the contract's messages, field by field. It decides nothing and drops
//! nothing.
//!
//! A session is taken by value: a reading that nobody else waits for and nobody keeps need not be
//! copied.

use memchr::memchr2;

pub(super) use crate::proto::time::to_protobuf as timestamp;
use crate::{
    enterprise_manager::{
        EntityFields, Link, Reading, ReplicaSession, RunResult, SessionPage, SessionState,
        TaskPage, TaskSession, TaskState, parse_uuid,
    },
    proto::v1::{self, replica_session, replica_task_session},
};

/// The response to a `Get`.
pub fn response(reading: Reading) -> v1::GetReplicaSessionResponse {
    v1::GetReplicaSessionResponse {
        replica_session: Some(session(reading.session)),
        read_time: Some(timestamp(reading.read_at)),
        ..v1::GetReplicaSessionResponse::default()
    }
}

/// The current state of a watched session, for an event.
pub(super) fn snapshot(reading: Reading) -> v1::ReplicaSessionSnapshot {
    v1::ReplicaSessionSnapshot {
        replica_session: Some(session(reading.session)),
        read_time: Some(timestamp(reading.read_at)),
    }
}

/// The response to a `List`.
pub fn page_response(
    page: SessionPage,
    next_page_token: String,
) -> v1::ListReplicaSessionsResponse {
    v1::ListReplicaSessionsResponse {
        replica_sessions: page.items.into_iter().map(session).collect(),
        next_page_token,
        read_time: Some(timestamp(page.read_at)),
        ..v1::ListReplicaSessionsResponse::default()
    }
}

/// The response to a `ListTaskSessions`.
pub(super) fn task_page_response(
    page: &TaskPage,
    next_page_token: String,
) -> v1::ListTaskSessionsResponse {
    v1::ListTaskSessionsResponse {
        replica_task_sessions: page.items.iter().map(task).collect(),
        next_page_token,
        read_time: Some(timestamp(page.read_at)),
    }
}

pub(super) fn task(task: &TaskSession) -> v1::ReplicaTaskSession {
    let mut message = v1::ReplicaTaskSession {
        id: task.id.to_string(),
        uid: task.uid.clone(),
        name: task.name.clone(),
        r#type: task.r#type.clone(),
        href: task.href.clone(),
        links: task.links.iter().cloned().map(link).collect(),
        backup_server: up_link(&task.links, "BackupServerReference"),
        session_uid: task.session_uid.clone(),
        vm_name: task.vm_name.clone(),
        vm_uid: task.vm_uid.clone(),
        create_time: task.created_at.map(timestamp),
        end_time: task.ended_at.map(timestamp),
        reason: task.reason.clone(),
        total_size_bytes: task.total_size,
        unmapped: task.unmapped.clone(),
        ..v1::ReplicaTaskSession::default()
    };
    message.set_state(task.state.map_or(replica_task_session::State::Unspecified, task_state));
    message.set_result(task.result.map_or(replica_session::Result::Unspecified, result));
    message
}

pub(super) fn session(session: ReplicaSession) -> v1::ReplicaSession {
    let ReplicaSession { id, uid, name, r#type, href, links, entity, unmapped } = session;
    let mut message = v1::ReplicaSession {
        id: id.to_string(),
        uid,
        name,
        r#type,
        href,
        backup_server: up_link(&links, "BackupServerReference"),
        job: up_link(&links, "JobReference"),
        links: links.into_iter().map(link).collect(),
        unmapped,
        ..v1::ReplicaSession::default()
    };
    if let Some(entity) = entity {
        let EntityFields {
            job_uid,
            job_name,
            job_type,
            created_at,
            ended_at,
            state,
            result,
            progress_percent,
            is_retry,
            failure_message,
        } = entity;
        message.job_uid = job_uid;
        message.job_name = job_name;
        message.job_type = job_type;
        message.create_time = created_at.map(timestamp);
        message.end_time = ended_at.map(timestamp);
        message.set_state(state.map_or(replica_session::State::Unspecified, self::state));
        message.set_result(result.map_or(replica_session::Result::Unspecified, self::result));
        message.progress_percent = progress_percent;
        message.is_retry = is_retry;
        message.failure_message = failure_message;
    }
    message
}

/// The resource that an `Up` link of this type points to. EM names the backup server nowhere else.
fn up_link(links: &[Link], r#type: &str) -> Option<v1::ResourceReference> {
    let link = links.iter().find(|link| link.rel == "Up" && link.r#type == r#type)?;
    Some(v1::ResourceReference {
        id: id_in(&link.href),
        name: link.name.clone(),
        r#type: link.r#type.clone(),
        href: link.href.clone(),
    })
}

/// The UUID at the end of a URL's path; empty when there is none.
fn id_in(href: &str) -> String {
    let path = &href[..memchr2(b'?', b'#', href.as_bytes()).unwrap_or(href.len())];
    let last = path.trim_end_matches('/').rsplit('/').next();
    last.and_then(parse_uuid).map_or_else(String::new, |uuid| uuid.to_string())
}

fn link(link: Link) -> v1::Link {
    let Link { rel, r#type, href, name } = link;
    v1::Link { rel, r#type, href, name }
}

/// Defines the conversions, in both directions, between an enum of EM's model and the contract's.
macro_rules! convert_enum {
    ($to:ident, $from:ident, $theirs:ty, $ours:ty: $($variant:ident),* $(,)?) => {
        fn $to(value: $theirs) -> $ours {
            match value {
                $(<$theirs>::$variant => <$ours>::$variant),*
            }
        }

        /// The value in EM's model; `None` when unspecified.
        pub(super) fn $from(value: $ours) -> Option<$theirs> {
            match value {
                <$ours>::Unspecified => None,
                $(<$ours>::$variant => Some(<$theirs>::$variant)),*
            }
        }
    };
}

convert_enum! {
    state, em_state, SessionState, replica_session::State:
    Starting, Working, Pausing, Resuming, Stopping, Stopped, Idle, Postprocessing, Pending,
    WaitingRepository, WaitingSlot, WaitingTape, ActionRequired,
}

convert_enum! {
    result, em_result, RunResult, replica_session::Result:
    None, Success, Warning, Failed,
}

convert_enum! {
    task_state, em_task_state, TaskState, replica_task_session::State:
    Pending, InProgress, Completed,
}
