//! Lists of sessions: pages, filters, page tokens, and invalid requests.

use std::{collections::HashSet, time::Duration};

use proptest::{prelude::*, test_runner::TestRunner};
use replica_session_gateway::{
    proto::v1::{
        ListReplicaSessionsRequest, ListReplicaSessionsResponse, ReplicaSession,
        ReplicaSessionFilter, ReplicaSessionOrder, ReplicaSessionView, TimeRange,
        replica_session::{Result as RunResult, State},
    },
    settings::Settings,
};
use simulator::{Canned, Options, QueryQuirks, RUNNING_SESSION_ID, Simulator};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::support::{
    Client, FINISHED, Setup, connect, eventually, fault, fixture, get, reason, settings, start,
    start_with,
};

/// The number of samples, the running session included.
const SAMPLES: usize = 7;

type Change = Box<dyn Fn(&mut ListReplicaSessionsRequest)>;

async fn list(
    client: &Client,
    request: ListReplicaSessionsRequest,
) -> Result<ListReplicaSessionsResponse, Status> {
    Ok(client.clone().list(request).await?.into_inner())
}

/// All pages of a list.
async fn all(client: &Client, mut request: ListReplicaSessionsRequest) -> Vec<ReplicaSession> {
    let mut sessions = Vec::new();
    loop {
        let page = list(client, request.clone()).await.unwrap();
        if request.page_size > 0 {
            assert!(page.replica_sessions.len() <= usize::try_from(request.page_size).unwrap());
        }
        sessions.extend(page.replica_sessions);
        if page.next_page_token.is_empty() {
            return sessions;
        }
        request.page_token = page.next_page_token;
    }
}

fn filtered(filter: ReplicaSessionFilter) -> ListReplicaSessionsRequest {
    ListReplicaSessionsRequest { filter: Some(filter), ..ListReplicaSessionsRequest::default() }
}

/// The last three digits of each id.
fn id_suffixes(sessions: &[ReplicaSession]) -> Vec<&str> {
    sessions.iter().map(|session| &session.id[33..]).collect()
}

fn with_history(history: u32) -> Options {
    Options { history, ..Options::default() }
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
async fn a_list_with_defaults_returns_the_newest_hundred_entities() {
    let setup = start_with(with_history(150), |_| {}).await;
    let first = list(&setup.client, ListReplicaSessionsRequest::default()).await.unwrap();
    assert_eq!(first.replica_sessions.len(), 100);
    assert!(first.read_time.is_some());
    assert_eq!(first.replica_sessions[0].id, RUNNING_SESSION_ID);
    let created = |session: &ReplicaSession| session.create_time.unwrap().seconds;
    assert!(first.replica_sessions.is_sorted_by_key(|session| -created(session)));

    let one = get(&setup.client, &first.replica_sessions[50].id).await.unwrap();
    assert_eq!(first.replica_sessions[50], one);
    let sessions = all(&setup.client, ListReplicaSessionsRequest::default()).await;
    assert_eq!(sessions.len(), 150 + SAMPLES);
}

#[tokio::test]
async fn pages_of_any_size_return_each_session_once_in_either_order_and_view() {
    let options = Options {
        // Eight sessions per second.
        history_interval: Some(Duration::from_millis(125)),
        ..with_history(30)
    };
    let setup = start_with(options, |_| {}).await;
    for order in [ReplicaSessionOrder::NewestFirst, ReplicaSessionOrder::OldestFirst] {
        for view in [ReplicaSessionView::Entity, ReplicaSessionView::Reference] {
            for page_size in [1, 2, 7, 20, 1000] {
                let request = ListReplicaSessionsRequest {
                    page_size,
                    view: view.into(),
                    order_by: order.into(),
                    ..ListReplicaSessionsRequest::default()
                };
                let sessions = all(&setup.client, request).await;
                let what = format!("{order:?} {view:?} {page_size}");
                let ids: HashSet<_> = sessions.iter().map(|session| &session.id).collect();
                assert_eq!((ids.len(), sessions.len()), (30 + SAMPLES, 30 + SAMPLES), "{what}");
                let ends = id_suffixes(&sessions);
                let (first, last) = (ends[0], *ends.last().unwrap());
                match order {
                    ReplicaSessionOrder::OldestFirst => assert_eq!((first, last), ("a6b", "002")),
                    _ => assert_eq!((first, last), ("002", "a6b")),
                }
                assert_eq!(view == ReplicaSessionView::Entity, !sessions[0].job_name.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn sessions_that_appear_between_two_pages_shift_none_to_the_next_page() {
    let setup = start_with(with_history(20), |_| {}).await;
    let request = ListReplicaSessionsRequest {
        page_size: 10,
        filter: Some(ReplicaSessionFilter {
            results: vec![RunResult::Success.into()],
            ..ReplicaSessionFilter::default()
        }),
        ..ListReplicaSessionsRequest::default()
    };
    let first = list(&setup.client, request.clone()).await.unwrap();
    // Now the running session matches, too, and is the newest.
    setup.simulator.advance(Duration::from_secs(301));
    let rest = ListReplicaSessionsRequest { page_token: first.next_page_token, ..request };
    let second = list(&setup.client, rest).await.unwrap();
    let ids: HashSet<_> = [&first.replica_sessions, &second.replica_sessions]
        .into_iter()
        .flatten()
        .map(|session| &session.id)
        .collect();
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn every_filter_selects() {
    let setup = start().await;
    let job = "urn:veeam:Job:724e3c07-4e12-44f5-998f-d568071216d8";
    let time = |text: &str| Some(text.parse().unwrap());
    let range = |start: Option<prost_types::Timestamp>, end| {
        Some(TimeRange { start_time: start, end_time: end })
    };
    let none = ReplicaSessionFilter::default;
    for (filter, expected) in [
        (none(), vec!["002", "00b", "00a", "009", "b4e", "f17", "a6b"]),
        (ReplicaSessionFilter { job_id: job.to_uppercase(), ..none() }, vec!["002", "f17"]),
        (ReplicaSessionFilter { job_id: job[14..].to_owned(), ..none() }, vec!["002", "f17"]),
        (
            ReplicaSessionFilter { job_name: "Replication Job 1".to_owned(), ..none() },
            vec!["002", "b4e", "f17"],
        ),
        (ReplicaSessionFilter { job_name: "Replication Job".to_owned(), ..none() }, vec![]),
        (
            ReplicaSessionFilter {
                backup_server_id: "urn:veeam:BackupServer:7445e6ce-86f5-4171-b909-dac209c66563"
                    .to_owned(),
                ..none()
            },
            vec!["b4e"],
        ),
        (
            ReplicaSessionFilter { backup_server_name: "srv02.tech.local".to_owned(), ..none() },
            vec!["a6b"],
        ),
        (
            ReplicaSessionFilter {
                states: vec![State::Working.into(), State::Starting.into(), State::Working.into()],
                ..none()
            },
            vec!["002"],
        ),
        (
            ReplicaSessionFilter {
                results: vec![RunResult::Failed.into(), RunResult::None.into()],
                ..none()
            },
            vec!["002", "00a", "009"],
        ),
        (ReplicaSessionFilter { is_retry: Some(true), ..none() }, vec!["00b", "00a"]),
        (
            ReplicaSessionFilter {
                is_retry: Some(false),
                results: vec![RunResult::Failed.into()],
                ..none()
            },
            vec!["009"],
        ),
        (
            ReplicaSessionFilter {
                create_time: range(
                    time("2025-10-07T20:00:02.420Z"),
                    time("2025-11-03T21:00:11.08Z"),
                ),
                ..none()
            },
            vec!["f17"],
        ),
        (
            ReplicaSessionFilter {
                create_time: range(None, time("2025-10-07T20:00:02.420000001Z")),
                ..none()
            },
            vec!["f17", "a6b"],
        ),
        (
            ReplicaSessionFilter { end_time: range(time("2025-01-01T00:00:00Z"), None), ..none() },
            vec!["00b", "00a", "009", "b4e", "f17"],
        ),
        (
            ReplicaSessionFilter {
                end_time: range(time("2025-01-01T00:00:00Z"), time("2025-01-01T00:00:00Z")),
                ..none()
            },
            vec![],
        ),
    ] {
        let what = format!("{filter:?}");
        let page = list(&setup.client, filtered(filter)).await.unwrap();
        assert_eq!(id_suffixes(&page.replica_sessions), expected, "{what}");
        assert_eq!(page.next_page_token, "", "{what}");
    }
}

/// Property test on a separate runtime, because proptest is not asynchronous.
#[test]
fn a_hostile_job_name_matches_only_its_own_job() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hostile = [
        r#"x";State!="Stopped"#,
        r#"","x"#,
        r#"" ,JobName!=""#,
        r#"a\";b"#,
        "100% & more + #1?format=EntityRef&type=x",
        "a%22;b",
        "(a,b);c",
        "  two  blanks  ",
        r#"R&D\Rep [A]  - "Réplique" <DR>"#,
        "\"",
        "\"\"",
    ];
    let options = Options {
        history_jobs: hostile.iter().map(|&name| name.to_owned()).collect(),
        ..with_history(u32::try_from(hostile.len()).unwrap())
    };
    let setup = runtime.block_on(start_with(options, |_| {}));
    let find = |name: &str| {
        let filter = ReplicaSessionFilter { job_name: name.to_owned(), ..Default::default() };
        runtime.block_on(list(&setup.client, filtered(filter))).unwrap().replica_sessions
    };
    for name in hostile {
        let found = find(name);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].job_name, name);
    }
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let pieces = prop::collection::vec(
        prop::sample::select(vec![
            "\"", ";", ",", "(", ")", "=", "&", "%", "+", " ", "JobName", "!",
        ]),
        1..10,
    );
    let unknown = |pieces: Vec<&str>| {
        let name = pieces.concat() + " of nobody";
        prop_assert_eq!(find(&name), vec![], "{}", name);
        Ok(())
    };
    runner.run(&pieces, unknown).unwrap();
}

#[tokio::test]
async fn a_page_of_a_thousand_takes_one_request_to_em() {
    let setup = start_with(with_history(1200), |_| {}).await;
    let request =
        ListReplicaSessionsRequest { page_size: 5000, ..ListReplicaSessionsRequest::default() };
    let page = list(&setup.client, request.clone()).await.unwrap();
    assert_eq!(page.replica_sessions.len(), 1000);
    assert_eq!(queries(&setup.simulator).len(), 1);
    let rest = ListReplicaSessionsRequest { page_token: page.next_page_token, ..request };
    let rest = list(&setup.client, rest).await.unwrap();
    assert_eq!(rest.replica_sessions.len(), 200 + SAMPLES);
    assert_eq!(rest.next_page_token, "");
}

#[tokio::test]
async fn lists_do_not_depend_on_em_s_quirks() {
    for query in [
        QueryQuirks { no_container_when_empty: true, ..QueryQuirks::default() },
        QueryQuirks { past_the_end_refused: true, ..QueryQuirks::default() },
        QueryQuirks { page_size_limit: 10, ..QueryQuirks::default() },
    ] {
        let setup = start_with(Options { query, ..with_history(30) }, |_| {}).await;
        let nothing = filtered(ReplicaSessionFilter {
            job_name: "no such job".to_owned(),
            ..ReplicaSessionFilter::default()
        });
        let page = list(&setup.client, nothing).await.unwrap();
        assert_eq!((page.replica_sessions.len(), page.next_page_token.as_str()), (0, ""));
        let request = ListReplicaSessionsRequest { page_size: 25, ..Default::default() };
        assert_eq!(all(&setup.client, request).await.len(), 30 + SAMPLES, "{query:?}");
    }
}

#[tokio::test]
async fn any_response_beyond_em_s_last_page_ends_the_list() {
    // All within one second and too many for a page token, which then holds a page number.
    let options = Options { history_interval: Some(Duration::ZERO), ..with_history(200) };
    let setup = start_with(options, |_| {}).await;
    let request = || ListReplicaSessionsRequest {
        page_size: 80,
        filter: Some(ReplicaSessionFilter {
            job_name: "SQL Replication".to_owned(),
            ..ReplicaSessionFilter::default()
        }),
        ..ListReplicaSessionsRequest::default()
    };
    assert_eq!(all(&setup.client, request()).await.len(), 200);
    let first = list(&setup.client, request()).await.unwrap();
    for (status, body) in [(400, "error-400.xml"), (404, "error-404.xml")] {
        let mut canned = Canned::xml(fixture(body));
        canned.status = status.try_into().unwrap();
        setup.simulator.answer_query_with(canned);
        let next =
            ListReplicaSessionsRequest { page_token: first.next_page_token.clone(), ..request() };
        let page = list(&setup.client, next).await.unwrap();
        assert_eq!((page.replica_sessions.len(), page.next_page_token.as_str()), (0, ""));
        // For the first page the same response is a failure.
        let status = list(&setup.client, request()).await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status)), (Code::Internal, "EM_REQUEST_REFUSED"));
    }
}

#[tokio::test]
async fn a_page_token_works_at_another_gateway_but_only_for_its_own_request() {
    let setup = start_with(with_history(20), |_| {}).await;
    let request = ListReplicaSessionsRequest { page_size: 5, ..Default::default() };
    let first = list(&setup.client, request.clone()).await.unwrap();
    let request =
        ListReplicaSessionsRequest { page_token: first.next_page_token.clone(), ..request };
    let second = list(&setup.client, request.clone()).await.unwrap();

    let gateway = replica_session_gateway::serve::start(settings(&setup.simulator.url())).await;
    let replica = connect(gateway.as_ref().unwrap().address()).await;
    let there = list(&replica, request.clone()).await.unwrap();
    assert_eq!(there.replica_sessions, second.replica_sessions);
    assert_eq!(there.next_page_token, second.next_page_token);

    let with_key = |settings: &mut Settings| {
        settings.page_token_key = Some(vec![7; 32].into());
    };
    let mut other = settings(&setup.simulator.url());
    with_key(&mut other);
    let keyed = replica_session_gateway::serve::start(other).await.unwrap();
    let keyed = (connect(keyed.address()).await, keyed);

    let forged = first.next_page_token.replace('A', "B");
    let changes: Vec<(&Client, Change)> = vec![
        (&keyed.0, Box::new(|_| {})),
        (&replica, Box::new(move |r| r.page_token.clone_from(&forged))),
        (&replica, Box::new(|r| r.page_token.truncate(20))),
        (&replica, Box::new(|r| r.page_token = "2".to_owned())),
        (&replica, Box::new(|r| r.page_token = "x".repeat(50_000))),
        (&replica, Box::new(|r| r.page_size = 6)),
        (&replica, Box::new(|r| r.view = ReplicaSessionView::Reference.into())),
        (&replica, Box::new(|r| r.order_by = ReplicaSessionOrder::OldestFirst.into())),
        (
            &replica,
            Box::new(|r| {
                r.filter =
                    Some(ReplicaSessionFilter { is_retry: Some(true), ..Default::default() });
            }),
        ),
    ];
    for (client, change) in changes {
        let mut request = request.clone();
        change(&mut request);
        assert_invalid(client, request, "page_token", "INVALID_PAGE_TOKEN").await;
    }
    // The same request, written differently.
    let mut same = request;
    same.view = ReplicaSessionView::Entity.into();
    same.filter = Some(ReplicaSessionFilter::default());
    assert_eq!(list(&replica, same).await.unwrap().replica_sessions, second.replica_sessions);
}

async fn assert_invalid(
    client: &Client,
    request: ListReplicaSessionsRequest,
    field: &str,
    why: &str,
) {
    let status = list(client, request).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::InvalidArgument, why), "{field}");
    let details = status.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
    assert!(status.message().starts_with(&format!("{field} must ")), "{}", status.message());
}

#[tokio::test]
async fn an_invalid_request_names_its_field_with_the_index_and_never_reaches_em() {
    let setup = start().await;
    let time = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let range = |start_time, end_time| Some(TimeRange { start_time, end_time });
    let mut wrong = Vec::new();
    let mut fields: Vec<(&str, &str, Change)> = vec![
        ("page_size", "INVALID_PAGE_SIZE", Box::new(|r| r.page_size = -1)),
        ("view", "INVALID_VIEW", Box::new(|r| r.view = 9)),
        ("order_by", "INVALID_ORDER_BY", Box::new(|r| r.order_by = 9)),
        (
            "max_age",
            "INVALID_MAX_AGE",
            Box::new(|r| {
                r.max_age = Some(prost_types::Duration { seconds: -1, nanos: 0 });
            }),
        ),
    ];
    let mut filter = |field, change: fn(&mut ReplicaSessionFilter)| wrong.push((field, change));
    filter("filter.job_id", |f| {
        f.job_id = "Replication Job 1".to_owned();
    });
    filter("filter.job_id", |f| {
        f.job_id = format!("urn:veeam:BackupServer:{FINISHED}");
    });
    filter("filter.backup_server_id", |f| {
        f.backup_server_id = format!("{FINISHED}\"");
    });
    filter("filter.job_name", |f| f.job_name = "a\nb".to_owned());
    filter("filter.job_name", |f| f.job_name = "x".repeat(256));
    filter("filter.backup_server_name", |f| {
        f.backup_server_name = "\0".to_owned();
    });
    filter("filter.backup_server_name", |f| {
        f.backup_server_name = "\u{85}".to_owned();
    });
    filter("filter.states[1]", |f| f.states = vec![1, 0]);
    filter("filter.states[0]", |f| f.states = vec![99]);
    filter("filter.results[0]", |f| f.results = vec![0]);
    filter("filter.results[2]", |f| f.results = vec![1, 2, -1]);
    for (field, change) in wrong {
        let mut filter = ReplicaSessionFilter::default();
        change(&mut filter);
        fields.push((field, "INVALID_FILTER", Box::new(move |r| r.filter = Some(filter.clone()))));
    }
    for (field, filter) in [
        (
            "filter.create_time",
            ReplicaSessionFilter {
                create_time: range(time(2, 0), time(1, 0)),
                ..Default::default()
            },
        ),
        (
            "filter.create_time",
            ReplicaSessionFilter { create_time: range(time(0, -1), None), ..Default::default() },
        ),
        (
            "filter.end_time",
            ReplicaSessionFilter { end_time: range(None, time(i64::MAX, 0)), ..Default::default() },
        ),
        (
            "filter.end_time",
            ReplicaSessionFilter {
                end_time: range(time(0, 1_000_000_000), None),
                ..Default::default()
            },
        ),
    ] {
        fields.push((field, "INVALID_FILTER", Box::new(move |r| r.filter = Some(filter.clone()))));
    }
    for (field, why, change) in fields {
        let mut request = ListReplicaSessionsRequest::default();
        change(&mut request);
        assert_invalid(&setup.client, request, field, why).await;
    }
    assert_eq!(setup.simulator.counts().requests, 0);
}

#[tokio::test]
async fn failures_are_reported_as_by_get() {
    let setup = start().await;
    let ask = || list(&setup.client, ListReplicaSessionsRequest::default());
    for (body, code, why) in [
        ("session-entity-list.xml", Code::Internal, "EM_BAD_RESPONSE_WRONG_ROOT"),
        ("query-references.xml", Code::Internal, "EM_BAD_RESPONSE_WRONG_ROOT"),
        ("web-ui-login.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
        ("error-403.xml", Code::PermissionDenied, "EM_ACCESS_DENIED"),
    ] {
        setup.simulator.answer_query_with(Canned::xml(fixture(body)));
        let status = ask().await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status)), (code, why), "{body}");
        assert!(!status.get_error_details().error_info().unwrap().metadata.contains_key("id"));
    }
    let mut huge = fixture("query-entities.xml");
    huge.resize(8 * 1024 * 1024 + 1, b' ');
    setup.simulator.answer_query_with(Canned::xml(huge));
    assert_eq!(reason(&ask().await.unwrap_err()), "EM_BAD_RESPONSE_TOO_LARGE");

    setup.simulator.answer_query_with(None);
    setup.simulator.set_faults([fault("503=1")]);
    assert_eq!(ask().await.unwrap().replica_sessions.len(), SAMPLES);
}

#[tokio::test]
async fn a_list_has_a_deadline() {
    let setup = start_with(Options::default(), |settings| {
        settings.calls.default_deadline = Duration::from_millis(100);
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let by_ids = ReplicaSessionFilter {
        session_ids: [FINISHED, RUNNING_SESSION_ID].map(str::to_owned).into(),
        ..Default::default()
    };
    for filter in [None, Some(by_ids)] {
        let request = ListReplicaSessionsRequest { filter, ..Default::default() };
        let result = list(&setup.client, request).await;
        assert_eq!(reason(&result.unwrap_err()), "DEADLINE_EXCEEDED");
    }
}

#[tokio::test]
async fn equal_lists_in_flight_share_one_request_to_em_unless_fresh_data_is_required() {
    let setup: Setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("latency=300ms")]);
    let request = |page_size| ListReplicaSessionsRequest { page_size, ..Default::default() };
    let ask = |request| {
        let client = setup.client.clone();
        tokio::spawn(async move { list(&client, request).await })
    };
    let mut calls: Vec<_> = (0..20).map(|_| ask(request(3))).collect();
    calls.push(ask(request(4)));
    eventually("both are at EM", || queries(&setup.simulator).len() == 2).await;
    let mut now = request(3);
    now.max_age = Some(prost_types::Duration::default());
    calls.push(ask(now));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(queries(&setup.simulator).len(), 3);
    // Results are not cached.
    list(&setup.client, request(3)).await.unwrap();
    assert_eq!(queries(&setup.simulator).len(), 4);
}
