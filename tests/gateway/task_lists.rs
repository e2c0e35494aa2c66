//! Tasks of all sessions: pages, filters, and what is refused.

use std::{collections::HashSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, test_runner::TestRunner};
use replica_session_gateway::proto::v1::{
    ListReplicaSessionsRequest, ListTaskSessionsRequest, ListTaskSessionsResponse,
    ReplicaSessionOrder, ReplicaTaskSession, ReplicaTaskSessionFilter, TimeRange,
    replica_session::Result as RunResult, replica_task_session::State,
};
use simulator::{Canned, NamedResource, Options, RUNNING_SESSION_ID, Session, Simulator, Task};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::support::{Client, FINISHED, eventually, fault, fixture, reason, start, start_with};

/// The number of tasks of the simulator's samples, those of the running session included.
const SAMPLES: usize = 10;

const FAILED: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009";

async fn list(
    client: &Client,
    request: ListTaskSessionsRequest,
) -> Result<ListTaskSessionsResponse, Status> {
    Ok(client.clone().list_task_sessions(request).await?.into_inner())
}

/// All pages of a list.
async fn all(client: &Client, mut request: ListTaskSessionsRequest) -> Vec<ReplicaTaskSession> {
    let mut tasks = Vec::new();
    loop {
        let page = list(client, request.clone()).await.unwrap();
        assert!(page.read_time.is_some());
        tasks.extend(page.replica_task_sessions);
        if page.next_page_token.is_empty() {
            return tasks;
        }
        request.page_token = page.next_page_token;
    }
}

fn only(filter: ReplicaTaskSessionFilter) -> ListTaskSessionsRequest {
    ListTaskSessionsRequest { filter: Some(filter), ..ListTaskSessionsRequest::default() }
}

fn of_vm(name: &str) -> ReplicaTaskSessionFilter {
    ReplicaTaskSessionFilter {
        vm_names: vec![name.to_owned()],
        ..ReplicaTaskSessionFilter::default()
    }
}

fn results(results: &[RunResult]) -> ReplicaTaskSessionFilter {
    ReplicaTaskSessionFilter {
        results: results.iter().map(|result| (*result).into()).collect(),
        ..ReplicaTaskSessionFilter::default()
    }
}

fn machines(tasks: &[ReplicaTaskSession]) -> Vec<(&str, State, RunResult)> {
    let row = |task: &ReplicaTaskSession| (task.state(), task.result());
    tasks.iter().map(|task| (task.vm_name.as_str(), row(task).0, row(task).1)).collect()
}

/// A session that ended with one task for each of these machines.
fn session(number: u32, job: &str, created: Timestamp, machines: &[&str]) -> Session {
    let id = format!("5e550000-0000-4000-a000-{number:012x}");
    let task = |(machine, index): (&&str, u32)| Task {
        id: format!("7a5c0000-0000-4000-a{index:03x}-{number:012x}"),
        vm: (*machine).to_owned(),
        vm_uid: None,
        created,
        ended: Some(created + SignedDuration::from_mins(1)),
        state: "Completed".to_owned(),
        result: "Success".to_owned(),
        reason: Some(String::new()),
        total_size: 1 << 30,
        replica_point: None,
    };
    let named = |name: &str| NamedResource { id: id.clone(), name: name.to_owned() };
    Session {
        id: id.clone(),
        server: named("srv01"),
        job: named(job),
        job_type: "Replica".to_owned(),
        created,
        ended: Some(created + SignedDuration::from_mins(2)),
        state: "Stopped".to_owned(),
        result: "Success".to_owned(),
        progress: 100,
        is_retry: false,
        failure_message: None,
        more_links: Vec::new(),
        tasks: machines.iter().zip(0..).map(task).collect(),
    }
}

/// The targets of the queries that EM has received.
fn queries(simulator: &Simulator) -> Vec<String> {
    let requests = simulator.requests().into_iter();
    requests
        .map(|request| request.target)
        .filter(|target| target.starts_with("/api/query"))
        .collect()
}

#[tokio::test]
async fn the_tasks_of_a_machine_come_from_all_sessions_with_one_request_the_newest_first() {
    let at = |hours| Timestamp::now() - SignedDuration::from_hours(hours);
    let sessions = vec![
        session(1, "Job A", at(90), &["web01", "web02"]),
        session(2, "Job B", at(20), &["web02"]),
        // Longer ago than EM's plain lists reach.
        session(3, "Job A", at(24 * 60), &["web02", "web03"]),
    ];
    let setup = start_with(Options { sessions, ..Options::default() }, |_| {}).await;
    let page = list(&setup.client, only(of_vm("web02"))).await.unwrap();
    let sessions: Vec<_> =
        page.replica_task_sessions.iter().map(|task| &task.session_uid[62..]).collect();
    assert_eq!(sessions, ["02", "01", "03"]);
    assert!(page.replica_task_sessions.iter().all(|task| task.vm_name == "web02"));
    assert_eq!(page.next_page_token, "");
    assert_eq!(queries(&setup.simulator).len(), 1);
}

#[tokio::test]
async fn a_result_counts_only_for_a_completed_task() {
    use RunResult::{Failed, None, Success, Warning};
    use State::{Completed, InProgress, Pending};
    let setup = start().await;
    let of_running = |wanted: &[RunResult]| ReplicaTaskSessionFilter {
        session_ids: vec![RUNNING_SESSION_ID.to_uppercase()],
        ..results(wanted)
    };
    for (wanted, expected) in [
        // EM itself says `Success` of app02 from its start.
        (vec![Success], vec![("app01", Completed, Success)]),
        (vec![None], vec![("app02", InProgress, None), ("app03", Pending, None)]),
        (
            vec![Success, None],
            vec![
                ("app02", InProgress, None),
                ("app03", Pending, None),
                ("app01", Completed, Success),
            ],
        ),
        (vec![Failed, Warning], vec![]),
    ] {
        let page = list(&setup.client, only(of_running(&wanted))).await.unwrap();
        assert_eq!(machines(&page.replica_task_sessions), expected, "{wanted:?}");
    }
    let failed = list(&setup.client, only(results(&[Failed, Warning]))).await.unwrap();
    assert_eq!(
        machines(&failed.replica_task_sessions),
        [("fs02", Completed, Failed), ("fs03", Completed, Warning), ("fs02", Completed, Failed)]
    );
}

#[tokio::test]
async fn every_filter_selects() {
    let setup = start().await;
    let none = ReplicaTaskSessionFilter::default;
    let time = |text: &str| Some(text.parse().unwrap());
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let october = vec!["app01"];
    for (filter, expected) in [
        (ReplicaTaskSessionFilter { vm_names: names(&["srv04"]), ..none() }, vec!["srv04"]),
        (ReplicaTaskSessionFilter { vm_names: names(&["srv0"]), ..none() }, vec![]),
        (
            ReplicaTaskSessionFilter { vm_names: names(&["fs03", "srv04", "fs03"]), ..none() },
            vec!["fs03", "srv04"],
        ),
        (
            ReplicaTaskSessionFilter {
                session_ids: names(&[FINISHED, &format!("urn:veeam:ReplicaJobSession:{FAILED}")]),
                ..none()
            },
            vec!["fs03", "fs02", "app01"],
        ),
        (
            ReplicaTaskSessionFilter {
                job_id: "urn:veeam:Job:2c49a44e-1e59-4527-a6bc-6b2f9b579ee1".to_owned(),
                vm_names: names(&["srv04"]),
                ..none()
            },
            vec!["srv04"],
        ),
        (
            ReplicaTaskSessionFilter {
                job_name: "Replication Job 1".to_owned(),
                states: vec![State::Completed.into()],
                create_time: Some(TimeRange {
                    start_time: time("2025-10-07T20:00:19.310Z"),
                    end_time: time("2025-10-07T20:00:19.311Z"),
                }),
                ..none()
            },
            october.clone(),
        ),
        (
            ReplicaTaskSessionFilter {
                end_time: Some(TimeRange {
                    start_time: time("2025-10-07T20:03:48.2Z"),
                    end_time: time("2025-10-07T20:03:48.200001Z"),
                }),
                ..none()
            },
            october,
        ),
        (
            ReplicaTaskSessionFilter {
                backup_server_id: "ce15a8c7-aa49-495e-b05b-ee3398c91018".to_owned(),
                ..none()
            },
            vec!["srv04"],
        ),
        (
            ReplicaTaskSessionFilter {
                backup_server_name: "srv02.tech.local".to_owned(),
                ..none()
            },
            vec!["srv04"],
        ),
        (
            ReplicaTaskSessionFilter {
                states: vec![State::Pending.into(), State::InProgress.into()],
                ..none()
            },
            vec!["app02", "app03"],
        ),
    ] {
        let what = format!("{filter:?}");
        let page = list(&setup.client, only(filter)).await.unwrap();
        let found: Vec<_> = page.replica_task_sessions.iter().map(|task| &*task.vm_name).collect();
        assert_eq!(found, expected, "{what}");
    }
}

#[tokio::test]
async fn pages_of_any_size_return_each_task_once_in_either_order() {
    let now = Timestamp::now();
    // Five sessions a second, each with three tasks of equal times.
    let sessions = (1..=12).map(|number| {
        let created = now - SignedDuration::from_millis(86_400_000 + i64::from(number) * 200);
        session(number, "Job", created, &["a", "b", "c"])
    });
    let options = Options { sessions: sessions.collect(), ..Options::default() };
    let setup = start_with(options, |_| {}).await;
    for order in [ReplicaSessionOrder::NewestFirst, ReplicaSessionOrder::OldestFirst] {
        for page_size in [1, 2, 7, 20, 5000] {
            let request = ListTaskSessionsRequest {
                page_size,
                order_by: order.into(),
                ..ListTaskSessionsRequest::default()
            };
            let tasks = all(&setup.client, request).await;
            let ids: HashSet<_> = tasks.iter().map(|task| &task.id).collect();
            let (count, what) = (36 + SAMPLES, format!("{order:?} {page_size}"));
            assert_eq!((ids.len(), tasks.len()), (count, count), "{what}");
            let seconds: Vec<_> =
                tasks.iter().map(|task| task.create_time.unwrap().seconds).collect();
            match order {
                ReplicaSessionOrder::OldestFirst => assert!(seconds.is_sorted(), "{what}"),
                _ => assert!(seconds.is_sorted_by(|a, b| a >= b), "{what}"),
            }
        }
    }
}

#[tokio::test]
async fn a_token_belongs_to_its_method_and_its_filter() {
    let setup = start().await;
    let request = ListTaskSessionsRequest { page_size: 2, ..ListTaskSessionsRequest::default() };
    let token = list(&setup.client, request.clone()).await.unwrap().next_page_token;
    let with_token = |page_token: &str, filter| ListTaskSessionsRequest {
        page_token: page_token.to_owned(),
        filter,
        ..request.clone()
    };
    // An empty filter is none.
    list(&setup.client, with_token(&token, Some(ReplicaTaskSessionFilter::default())))
        .await
        .unwrap();
    let sessions = ListReplicaSessionsRequest { page_size: 2, ..Default::default() };
    let of_sessions = setup.client.clone().list(sessions).await.unwrap().into_inner();
    for wrong in [
        with_token(&token, Some(of_vm("app01"))),
        with_token(&of_sessions.next_page_token, None),
        ListTaskSessionsRequest {
            order_by: ReplicaSessionOrder::OldestFirst.into(),
            ..with_token(&token, None)
        },
    ] {
        let status = list(&setup.client, wrong).await.unwrap_err();
        assert_eq!(reason(&status), "INVALID_PAGE_TOKEN");
    }
}

/// Property test on a separate runtime, because proptest is not asynchronous.
#[test]
fn a_hostile_machine_name_matches_only_its_own_machine() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hostile = [
        r#"x";State!="Completed"#,
        r#"","x"#,
        r#"" ,VmDisplayName!=""#,
        r#"a\";b"#,
        "100% & more + #1?format=EntityRef&type=x",
        "a%22;b",
        "(a,b);c",
        "  two  blanks  ",
        r#"R&D\vm [A]  - "Réplique" <DR>"#,
        "\"",
        "\"\"",
        "仮想マシン💾",
    ];
    let sessions = vec![session(1, "Job", Timestamp::now(), &hostile)];
    let setup = runtime.block_on(start_with(Options { sessions, ..Options::default() }, |_| {}));
    let find = |names: &[&str]| {
        let vm_names = names.iter().map(|&name| name.to_owned()).collect();
        let filter = ReplicaTaskSessionFilter { vm_names, ..Default::default() };
        runtime.block_on(list(&setup.client, only(filter))).unwrap().replica_task_sessions
    };
    for name in hostile {
        let found = find(&[name, "nobody"]);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].vm_name, name);
    }
    assert_eq!(find(&hostile).len(), hostile.len());
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let pieces = prop::collection::vec(
        prop::sample::select(vec![
            "\"",
            ";",
            ",",
            "(",
            ")",
            "=",
            "&",
            "%",
            "+",
            " ",
            "VmDisplayName",
            "!",
        ]),
        1..10,
    );
    let unknown = |pieces: Vec<&str>| {
        let name = pieces.concat() + " of nobody";
        prop_assert_eq!(find(&[&name]), vec![], "{}", name);
        Ok(())
    };
    runner.run(&pieces, unknown).unwrap();
}

#[tokio::test]
async fn an_invalid_request_names_its_field_with_the_index_and_never_reaches_em() {
    type Change = Box<dyn Fn(&mut ListTaskSessionsRequest, &mut ReplicaTaskSessionFilter)>;
    let setup = start().await;
    let many = |text: &str| vec![text.to_owned(); 101];
    let ids = many(FINISHED);
    let long_name = |number: u32| format!("{number}{}", "\u{1f4be}".repeat(200));
    let long_names: Vec<_> = (0..20).map(long_name).collect();
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let fields: Vec<(&str, &str, Change)> = vec![
        ("page_size", "INVALID_PAGE_SIZE", Box::new(|r, _| r.page_size = -1)),
        ("order_by", "INVALID_ORDER_BY", Box::new(|r, _| r.order_by = 9)),
        (
            "max_age",
            "INVALID_MAX_AGE",
            Box::new(|r, _| r.max_age = Some(prost_types::Duration { seconds: -1, nanos: 0 })),
        ),
        ("filter.vm_names[0]", "INVALID_FILTER", {
            Box::new(|_, f| f.vm_names = vec![String::new(), "fs02".to_owned()])
        }),
        ("filter.vm_names[1]", "INVALID_FILTER", {
            Box::new(|_, f| f.vm_names = vec!["fs02".to_owned(), "\n".to_owned()])
        }),
        ("filter.vm_names[2]", "INVALID_FILTER", {
            Box::new(|_, f| f.vm_names = ["a".to_owned(), "b".to_owned(), "x".repeat(256)].to_vec())
        }),
        ("filter.vm_names", "INVALID_FILTER", Box::new(move |_, f| f.vm_names = many("x"))),
        ("filter.session_ids", "INVALID_FILTER", Box::new(move |_, f| f.session_ids = ids.clone())),
        ("filter.session_ids[1]", "INVALID_FILTER", {
            Box::new(|_, f| f.session_ids = vec![FINISHED.to_owned(), format!("{FINISHED}\"")])
        }),
        ("filter.job_id", "INVALID_FILTER", Box::new(|_, f| f.job_id = "Job 1".to_owned())),
        ("filter.job_name", "INVALID_FILTER", Box::new(|_, f| f.job_name = "\0".to_owned())),
        ("filter.backup_server_id", "INVALID_FILTER", {
            Box::new(|_, f| f.backup_server_id = "srv".to_owned())
        }),
        ("filter.backup_server_name", "INVALID_FILTER", {
            Box::new(|_, f| f.backup_server_name = "\u{85}".to_owned())
        }),
        ("filter.states[1]", "INVALID_FILTER", Box::new(|_, f| f.states = vec![1, 0])),
        ("filter.states[0]", "INVALID_FILTER", Box::new(|_, f| f.states = vec![4])),
        ("filter.results[2]", "INVALID_FILTER", Box::new(|_, f| f.results = vec![1, 2, 0])),
        ("filter.create_time", "INVALID_FILTER", {
            Box::new(move |_, f| {
                f.create_time = Some(TimeRange { start_time: time(2), end_time: time(1) });
            })
        }),
        ("filter.end_time", "INVALID_FILTER", {
            Box::new(move |_, f| {
                f.end_time = Some(TimeRange { start_time: time(i64::MAX), end_time: None });
            })
        }),
        ("filter", "INVALID_FILTER", Box::new(move |_, f| f.vm_names = long_names.clone())),
    ];
    for (field, why, change) in fields {
        let mut request = ListTaskSessionsRequest::default();
        let mut filter = ReplicaTaskSessionFilter::default();
        change(&mut request, &mut filter);
        request.filter = Some(filter);
        let status = list(&setup.client, request).await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status)), (Code::InvalidArgument, why), "{field}");
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
        let message = status.message();
        assert!(message.starts_with(&format!("{field} must ")), "{message}");
    }
    assert_eq!(setup.simulator.counts().requests, 0);
    // What fits is asked.
    let filter = ReplicaTaskSessionFilter {
        session_ids: (0..100).map(|number| format!("{}{number:03}", &FINISHED[..33])).collect(),
        vm_names: (0..80).map(|number| format!("machine-{number}")).collect(),
        ..ReplicaTaskSessionFilter::default()
    };
    let page = list(&setup.client, only(filter)).await.unwrap();
    assert_eq!(page.replica_task_sessions, []);
    assert!(queries(&setup.simulator)[0].len() > 12_000);
}

#[tokio::test]
async fn a_task_that_the_filter_excludes_fails_the_list_and_the_status_names_field_and_task() {
    let setup = start().await;
    let task = String::from_utf8(fixture("task-entity-list-documented-13.1.xml")).unwrap();
    let start = task.find("<ReplicaTaskSession ").unwrap();
    let end = task.find("</ReplicaTaskSession>").unwrap() + "</ReplicaTaskSession>".len();
    let page = format!(
        "<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\"><Entities><ReplicaTaskSessions>{}\
         </ReplicaTaskSessions></Entities><PagingInfo PageNum=\"1\" PageSize=\"100\" \
         PagesCount=\"1\"/></QueryResult>",
        &task[start..end]
    );
    setup.simulator.answer_query_with(Canned::xml(page));
    // How EM compares names is its own business.
    let found = list(&setup.client, only(of_vm("somebody else"))).await.unwrap();
    let found = &found.replica_task_sessions[0];
    let none = ReplicaTaskSessionFilter::default;
    let after = |time: Option<prost_types::Timestamp>| {
        let start_time = prost_types::Timestamp { seconds: time.unwrap().seconds + 3, nanos: 0 };
        Some(TimeRange { start_time: Some(start_time), end_time: None })
    };
    for (field, filter) in [
        (
            "JobSessionUid",
            ReplicaTaskSessionFilter { session_ids: vec![FAILED.to_owned()], ..none() },
        ),
        ("State", ReplicaTaskSessionFilter { states: vec![State::Pending.into()], ..none() }),
        ("Result", results(&[RunResult::None, RunResult::Failed])),
        (
            "CreationTimeUTC",
            ReplicaTaskSessionFilter { create_time: after(found.create_time), ..none() },
        ),
        ("EndTimeUTC", ReplicaTaskSessionFilter { end_time: after(found.end_time), ..none() }),
    ] {
        let status = list(&setup.client, only(filter)).await.unwrap_err();
        assert_eq!(reason(&status), "EM_BAD_RESPONSE_EXCLUDED", "{field}");
        let details = status.get_error_details();
        let metadata = &details.error_info().unwrap().metadata;
        assert_eq!((&metadata["field"][..], &metadata["item"]), (field, &found.id));
    }
}

#[tokio::test]
async fn equal_lists_in_flight_share_one_request_to_em() {
    let setup = start().await;
    list(&setup.client, ListTaskSessionsRequest::default()).await.unwrap();
    setup.simulator.set_faults([fault("latency=300ms")]);
    let ask = |name: &'static str| {
        let client = setup.client.clone();
        tokio::spawn(async move { list(&client, only(of_vm(name))).await })
    };
    let mut calls: Vec<_> = (0..20).map(|_| ask("app01")).collect();
    calls.push(ask("app02"));
    eventually("both are at EM", || queries(&setup.simulator).len() == 3).await;
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(queries(&setup.simulator).len(), 3);
}

#[tokio::test]
async fn a_list_of_tasks_has_a_deadline() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.default_deadline = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let result = list(&setup.client, ListTaskSessionsRequest::default()).await;
    assert_eq!(reason(&result.unwrap_err()), "DEADLINE_EXCEEDED");
}
