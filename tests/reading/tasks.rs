//! Task sessions: the work of a session on each virtual machine.

use futures_executor::block_on;
use replica_session_gateway::enterprise_manager::{
    BadResponse, RunResult, SessionId, TaskSession, TaskState, parse_task_list, parse_task_page,
};

use crate::document::{EM, ID, id, kind, pairs};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/enterprise-manager/task-", $name, ".xml"))
    };
}

const TASK: &str = "c20dae03-4f75-4191-ae81-862f4b7988ca";

fn of(session: &str) -> SessionId {
    session.parse().expect("a UUID")
}

/// A list of one task with these children.
fn list(children: &str) -> String {
    format!(
        "<ReplicaTaskSessions xmlns=\"{EM}\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <ReplicaTaskSession \
         UID=\"urn:veeam:ReplicaTaskSession:{TASK}\">{children}</ReplicaTaskSession>\
         </ReplicaTaskSessions>"
    )
}

fn tasks_of(id: SessionId, xml: impl AsRef<[u8]>) -> Result<Vec<TaskSession>, BadResponse> {
    block_on(parse_task_list(xml.as_ref(), id)).map(|list| list.items)
}

fn read(children: &str) -> Result<Vec<TaskSession>, BadResponse> {
    tasks_of(id(), list(children))
}

fn task(children: &str) -> TaskSession {
    read(children).expect("a readable task").remove(0)
}

#[test]
fn the_documented_list_is_read_in_full() {
    let session = of("f5bf1a4b-c229-452e-a4e8-0354e1752b4e");
    let xml = fixture!("entity-list-documented-13.1");
    let tasks = tasks_of(session, xml).unwrap();
    let [task] = tasks.as_slice() else { panic!("{tasks:?}") };
    assert_eq!(task.id.to_string(), TASK);
    assert_eq!(task.uid, format!("urn:veeam:ReplicaTaskSession:{TASK}"));
    assert_eq!(task.name, "ubuntu88@2025-11-03 21:00:26");
    assert_eq!(task.r#type, "ReplicaTaskSession");
    assert!(task.href.ends_with("?format=Entity"));
    assert_eq!(task.vm_name, "ubuntu88");
    assert_eq!(task.session_uid, format!("urn:veeam:ReplicaJobSession:{session}"));
    assert_eq!(task.links.len(), 3);
    assert_eq!(task.created_at, Some("2025-11-03T21:00:26.19Z".parse().unwrap()));
    assert_eq!(task.ended_at, Some("2025-11-03T21:03:16.73Z".parse().unwrap()));
    assert_eq!(task.state, Some(TaskState::Completed));
    assert_eq!(task.result, Some(RunResult::Success));
    assert_eq!(task.reason.as_deref(), Some(""));
    assert_eq!(task.total_size, Some(17_179_869_184));
    assert!(task.unmapped.is_empty());
}

#[test]
fn a_result_is_ignored_until_the_task_is_completed() {
    let session = of("b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f002");
    let xml = fixture!("entity-list-running");
    let tasks = tasks_of(session, xml).unwrap();
    let seen: Vec<_> = tasks
        .iter()
        .map(|task| (task.state, task.result, task.unmapped.get("Result").map(String::as_str)))
        .collect();
    assert_eq!(
        seen,
        [
            (Some(TaskState::Completed), Some(RunResult::Success), None),
            (Some(TaskState::InProgress), Some(RunResult::None), Some("Success")),
            (Some(TaskState::Pending), Some(RunResult::None), None),
        ]
    );
    assert_eq!(tasks[1].ended_at, None);
    assert_eq!(tasks[1].reason, None);

    let unknown = task("<State>Cleaning</State><Result>Failed</Result>");
    assert_eq!((unknown.state, unknown.result), (None, Some(RunResult::None)));
    let kept: Vec<_> = unknown.unmapped.into_iter().collect();
    assert_eq!(kept, pairs([("Result", "Failed"), ("State", "Cleaning")]));
    let odd = task("<State>Completed</State><Result>Skipped</Result>");
    assert_eq!(odd.result, None);
    assert_eq!(odd.unmapped["Result"], "Skipped");
}

#[test]
fn the_reason_of_a_failure_is_read_verbatim() {
    let session = of("b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009");
    let xml = fixture!("entity-list-failed");
    let tasks = tasks_of(session, xml).unwrap();
    assert_eq!(
        tasks[0].reason.as_deref(),
        Some(
            r#"Error: Cannot open disk "[DS-07] fs02/fs02.vmdk" & no further hosts are available."#
        )
    );
    assert_eq!(tasks[0].result, Some(RunResult::Failed));
    assert_eq!(tasks[1].result, Some(RunResult::Warning));
}

#[test]
fn elements_without_a_field_are_kept() {
    let task = task("<VmUid>urn:veeam:Vm:1</VmUid><New>thing</New><EndTimeUTC>soon</EndTimeUTC>");
    assert_eq!(task.vm_uid, "urn:veeam:Vm:1");
    let kept: Vec<_> = task.unmapped.into_iter().collect();
    assert_eq!(kept, pairs([("EndTimeUTC", "soon"), ("New", "thing")]));
}

#[test]
fn an_invalid_task_is_refused() {
    for (children, expected) in [
        (
            "<JobSessionUid>urn:veeam:ReplicaJobSession:b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009</JobSessionUid>",
            "excluded",
        ),
        ("<JobSessionUid>urn:veeam:Job:1</JobSessionUid>", "excluded"),
        ("<Reason xsi:nil=\"true\"/><State xsi:nil=\"1\"/>", "no fields"),
        ("<TotalSize>9223372036854775808</TotalSize>", "invalid field"),
        ("<TotalSize>1.5</TotalSize>", "invalid field"),
        ("<Result>Failed</Result><Result>Success</Result>", "invalid field"),
        ("<!DOCTYPE x>", "forbidden"),
        ("<Reason>&bomb;</Reason>", "malformed"),
    ] {
        assert_eq!(kind(&read(children)), expected, "{children}");
    }
    let uid = format!("<JobSessionUid>URN:veeam:replicajobsession:{ID}</JobSessionUid>");
    for children in ["<VmUid/>", "<JobSessionUid/>", &uid] {
        assert_eq!(kind(&read(children)), "read", "{children}");
    }
    assert_eq!(kind(&read("")), "no fields");
    assert_eq!(task("<TotalSize>9223372036854775807</TotalSize>").total_size, Some(i64::MAX));
    let other = list("").replace("urn:veeam:ReplicaTaskSession:", "urn:veeam:Other:");
    assert_eq!(kind(&tasks_of(id(), other)), "wrong session");

    let references = fixture!("reference-list");
    assert_eq!(kind(&tasks_of(id(), references)), "wrong root");
    let one = fixture!("entity-documented-old");
    assert_eq!(kind(&tasks_of(id(), one)), "wrong root");
    let xml = list("<State>Completed</State>");
    for end in 1..xml.len() {
        assert_eq!(kind(&tasks_of(id(), &xml.as_bytes()[..end])), "truncated", "{end}");
    }
}

#[test]
fn tasks_that_take_too_much_memory_are_refused() {
    let links = format!("<Links>{}</Links><VmUid/>", "<Link/>".repeat(600));
    let xml = list(&links);
    let (start, row) = xml.split_at(xml.find('>').expect("a root") + 1);
    let (row, end) = row.split_at(row.len() - "</ReplicaTaskSessions>".len());
    let xml = format!("{start}{}{end}", row.repeat(900));
    assert_eq!(kind(&tasks_of(id(), xml)), "too large");
}

#[test]
fn an_empty_list_and_a_query_page_are_read() {
    let empty = fixture!("entity-list-empty");
    assert_eq!(tasks_of(id(), empty), Ok(vec![]));
    let rows = list("<Reason>why</Reason>");
    let (_, rows) = rows.split_once('>').unwrap();
    let rows = rows.replace("</ReplicaTaskSessions>", "");
    let xml = format!(
        "<QueryResult xmlns=\"{EM}\"><Entities><ReplicaTaskSessions>{rows}</ReplicaTaskSessions>\
         </Entities><PagingInfo PagesCount=\"2\"/></QueryResult>"
    );
    let page = block_on(parse_task_page(xml.as_bytes(), Some(id()), 1000));
    let page = page.unwrap();
    assert_eq!(page.pages_count, Some(2));
    assert_eq!(page.items, [task("<Reason>why</Reason>")]);
}
