//! Any bytes as the tasks of a session, from EM's list and from a query.

#![no_main]

use futures_executor::block_on;
use libfuzzer_sys::fuzz_target;
use replica_session_gateway::enterprise_manager::{
    RunResult, SessionId, TaskSession, TaskState, parse_task_list, parse_task_page,
};

fuzz_target!(|document: &[u8]| {
    let id = id_in(document);
    if let Ok(list) = block_on(parse_task_list(document, id)) {
        list.items.iter().for_each(|task| check(task, id));
    }
    if let Ok(page) = block_on(parse_task_page(document, Some(id), 3)) {
        assert!(page.items.len() <= 3);
        page.items.iter().for_each(|task| check(task, id));
    }
});

fn check(task: &TaskSession, session: SessionId) {
    assert!(task.uid.to_lowercase().ends_with(&task.id.to_string()), "{}", task.uid);
    let of = task.session_uid.trim().to_lowercase();
    assert!(of.is_empty() || of.ends_with(&session.to_string()), "{of}");
    let is_over = task.state == Some(TaskState::Completed);
    assert!(is_over || task.result == Some(RunResult::None));
}

/// The session in the document, to request it: the parser refuses a document of any other session
/// early.
fn id_in(document: &[u8]) -> SessionId {
    const MARK: &[u8] = b">urn:veeam:ReplicaJobSession:";
    let mut ids = document
        .windows(MARK.len() + 36)
        .filter(|window| window.starts_with(MARK))
        .filter_map(|window| str::from_utf8(&window[MARK.len()..]).ok()?.parse().ok());
    let other = "04f694ad-664c-4603-a747-00edecae4f17";
    ids.next().unwrap_or_else(|| other.parse().expect("a UUID"))
}
