//! The query service: pages, filters, order, and errors.

use crate::client::{Answer, get, started, token};
use simulator::{Options, QueryQuirks, Simulator, Style};

/// The number of samples, the running session included.
const SAMPLES: usize = 7;

async fn query(simulator: &Simulator, parameters: &str) -> Answer {
    let token = token(simulator).await;
    let target = format!("/api/query?type=ReplicaJobSession{parameters}");
    get(simulator, &token, &target).await
}

async fn with_history(history: u32) -> Simulator {
    started(Options { history, ..Options::default() }).await
}

fn count(answer: &Answer, what: &str) -> usize {
    answer.text().matches(what).count()
}

#[tokio::test]
async fn pages_have_100_items_by_default() {
    let simulator = with_history(150).await;
    let first = query(&simulator, "").await;
    assert_eq!(count(&first, "<Ref "), 100);
    assert!(first.text().contains(r#"<PagingInfo PageNum="1" PageSize="100" PagesCount="2">"#));
    assert_eq!((count(&first, r#"Rel="Previous""#), count(&first, r#"Rel="Next""#)), (0, 1));

    let last = query(&simulator, "&page=2").await;
    assert_eq!(count(&last, "<Ref "), 50 + SAMPLES);
    assert_eq!((count(&last, r#"Rel="Previous""#), count(&last, r#"Rel="Next""#)), (1, 0));

    let beyond = query(&simulator, "&page=3&format=Entities").await;
    assert_eq!(beyond.status, 200);
    assert!(beyond.text().contains("<Entities><ReplicaJobSessions /></Entities>"));
}

#[tokio::test]
async fn page_links_repeat_the_query() {
    let simulator = with_history(0).await;
    let answer = query(&simulator, "&FORMAT=entities&sortdesc=creationtime&pagesize=2").await;
    assert_eq!(count(&answer, "<ReplicaJobSession "), 2);
    let next = "https://em01.tech.local:9398/api/query?type=ReplicaJobSession&amp;FORMAT=entities\
                &amp;sortdesc=creationtime&amp;pagesize=2&amp;page=2";
    assert_eq!(count(&answer, next), 1);
}

#[tokio::test]
async fn queries_reach_back_without_limit_and_sort_by_creation_time() {
    let simulator = with_history(0).await;
    let oldest = query(&simulator, "&format=Entities&sortAsc=CreationTime&pageSize=1").await;
    assert_eq!(oldest.element("CreationTimeUTC"), Some("2014-10-19T06:46:31Z"));
    let newest = query(&simulator, "&format=Entities&sortDesc=CreationTime&pageSize=1").await;
    assert_eq!(newest.element("State"), Some("Working"));
}

/// The last three digits of the ids that a query with this filter finds.
async fn found(simulator: &Simulator, filter: &str) -> Vec<String> {
    let filter: String = form_urlencoded(filter);
    let answer = query(simulator, &format!("&format=Entities&filter={filter}")).await;
    assert_eq!(answer.status, 200, "{filter}: {}", answer.text());
    let sessions = answer.text().split("<ReplicaJobSession ").skip(1);
    let ids = sessions.map(|session| {
        let (_, uid) = session.split_once("urn:veeam:ReplicaJobSession:").expect("a UID");
        uid[33..36].to_owned()
    });
    ids.collect()
}

fn form_urlencoded(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"))
}

#[tokio::test]
async fn filters_compare_each_property_as_it_is_meant() {
    let simulator = with_history(0).await;
    for (filter, expected) in [
        (r#"JobUid=="urn:veeam:Job:724e3c07-4e12-44f5-998f-d568071216d8""#, vec!["f17", "002"]),
        ("jobuid==724E3C07-4E12-44F5-998F-D568071216D8", vec!["f17", "002"]),
        (r#"UID=="urn:veeam:ReplicaJobSession:f5bf1a4b-c229-452e-a4e8-0354e1752b4e""#, vec!["b4e"]),
        (r#"JobName=="Fileserver02 Replication";Result==failed"#, vec!["009", "00a"]),
        (r#"Name=="Replication Job 1@2025-10-07 20:00:02""#, vec!["f17"]),
        ("Result>Success", vec!["009", "00a"]),
        ("Result<=warning;State==Stopped;IsRetry==TRUE", vec!["00b"]),
        ("State!=Stopped", vec!["002"]),
        (r#"(State=="Working",Result=="Warning")"#, vec!["002"]),
        ("State==Working,IsRetry==true;Result==Failed", vec!["00a", "002"]),
        ("(State==Working,IsRetry==true);Result==Failed", vec!["00a"]),
        (r#"CreationTime<"2025-10-07T20:00:03Z""#, vec!["a6b", "f17"]),
        ("CreationTime<2025-10-07T20:00:02.42Z", vec!["a6b"]),
        ("CreationTime<=2025-10-07T20:00:02.42", vec!["a6b", "f17"]),
        (r#"CreationTime<"2014-10-20""#, vec!["a6b"]),
        // A running session has no end.
        (r#"EndTime>="2025-11-01"; EndTime < "2025-12-01""#, vec!["b4e"]),
        ("EndTime!=2025-11-01;EndTime!=2025-11-02;State==Working", vec!["002"]),
        ("BackupServerName==srv02.tech.local", vec!["a6b"]),
        ("BackupServerUid==7445e6ce-86f5-4171-b909-dac209c66563", vec!["b4e"]),
        ("JobType==Replica;JobType!=Replica", vec![]),
    ] {
        assert_eq!(found(&simulator, filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn blanks_count_only_in_quotes_and_a_doubled_quote_is_one() {
    let simulator = started(Options {
        history: 3,
        history_jobs: vec![r#"A "B"; C"#.to_owned(), "AB".to_owned(), "A B".to_owned()],
        ..Options::default()
    })
    .await;
    for (filter, expected) in [
        (r#"JobName=="A ""B""; C""#, vec!["001"]),
        (r#"JobName=="AB""#, vec!["002"]),
        (r#"JobName=="A B""#, vec!["003"]),
        // Blanks outside quotes are dropped.
        ("JobName==A B", vec!["002"]),
    ] {
        assert_eq!(found(&simulator, filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn tasks_can_be_queried_too() {
    let simulator = with_history(0).await;
    let token = token(&simulator).await;
    let target = "/api/query?type=replicataskSession&format=Entities&sortDesc=totalSize&filter=";
    for (filter, expected) in [
        ("JobSessionUid==0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b", vec!["srv04"]),
        (
            r#"JobSessionUid=="urn:veeam:ReplicaJobSession:b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009""#,
            vec!["fs02", "fs03"],
        ),
        ("State==InProgress;Result==Success", vec!["app02"]),
        (r#"VmDisplayName==fs02;Result==Failed;TotalSize>1000000000;Reason!="""#, vec!["fs02"; 2]),
    ] {
        let answer = get(&simulator, &token, &format!("{target}{}", form_urlencoded(filter))).await;
        let names = answer.text().split("VmDisplayName=\"").skip(1);
        let names: Vec<_> = names.map(|rest| rest.split('"').next().expect("a name")).collect();
        assert_eq!(names, expected, "{filter}");
        assert!(answer.text().contains("<Entities><ReplicaTaskSessions><ReplicaTaskSession "));
    }
}

#[tokio::test]
async fn results_sort_by_any_property_that_can_be_filtered() {
    let simulator = with_history(0).await;
    for (sort, first) in [
        ("sortAsc=JobName", "Fileserver02 Replication"),
        ("sortDesc=JobName", "Replication Job 1"),
        ("sortDesc=Result", "Fileserver02 Replication"),
        ("sortAsc=EndTime", "Replication Job 1"),
    ] {
        let answer = query(&simulator, &format!("&format=Entities&pageSize=1&{sort}")).await;
        assert_eq!(answer.element("JobName"), Some(first), "{sort}");
    }
}

#[tokio::test]
async fn unknown_behaviour_of_real_servers_is_configurable() {
    let empty = "&format=Entities&filter=JobName==nothing";
    let simulator = with_history(3).await;
    let answer = query(&simulator, empty).await;
    assert!(answer.text().contains("<Entities><ReplicaJobSessions /></Entities>"));
    assert!(answer.text().contains(r#"PagesCount="1""#));

    let simulator = started(Options {
        history: 3,
        query: QueryQuirks {
            page_size_limit: 4,
            no_container_when_empty: true,
            past_the_end_refused: true,
        },
        ..Options::default()
    })
    .await;
    let answer = query(&simulator, empty).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("<Entities"));
    assert!(answer.text().contains(r#"PagesCount="0""#));
    let answer = query(&simulator, "&pageSize=1000").await;
    assert_eq!(count(&answer, "<Ref "), 4);
    assert!(answer.text().contains(r#"PageSize="4" PagesCount="3""#));
    assert_eq!(query(&simulator, "&pageSize=4&page=4").await.status, 400);
}

#[tokio::test]
async fn older_releases_write_the_filter_in_page_links_in_lower_case() {
    for (style, escaped) in [
        (Style::version12(), "filter=Result%3d%3dFailed"),
        (Style::version13(), "filter=Result%3D%3DFailed"),
    ] {
        let simulator = started(Options { style, ..Options::default() }).await;
        let answer = query(&simulator, "&filter=Result==Failed").await;
        assert_eq!(count(&answer, escaped), 2, "{}", answer.text());
    }
}

#[tokio::test]
async fn invalid_queries_are_answered_400() {
    let simulator = with_history(0).await;
    for parameters in [
        "&page=0",
        "&pageSize=x",
        "&sortAsc=CreationTime&sortDesc=CreationTime",
        // The names of the elements are not those of the properties.
        "&sortAsc=CreationTimeUTC",
        "&filter=EndTimeUTC>2025-01-01",
        "&sortDesc=Progress",
        "&filter=Progress>1",
        "&filter=FailureMessage==x",
        "&filter=State==Hibernating",
        "&filter=CreationTime>yesterday",
        "&filter=IsRetry==perhaps",
        "&filter=State",
        "&filter=State=Stopped",
        "&filter===Stopped",
        "&filter=State==",
        "&filter=State==Stopped;",
        "&filter=(State==Stopped",
        "&filter=State==Stopped)",
        "&filter=JobName==%22x",
        "&filter=JobName==%22x%22y",
        "&filter=JobName==x%22y%22",
    ] {
        let parameters = parameters.replace('<', "%3C").replace('>', "%3E");
        let answer = query(&simulator, &parameters).await;
        assert_eq!((answer.status, &*answer.reason), (400, "BadRequest"), "{parameters}");
        assert!(answer.text().contains("<Error "));
    }
    let nested = format!("&filter={}State==Stopped{}", "(".repeat(8_000), ")".repeat(8_000));
    assert_eq!(query(&simulator, &nested).await.status, 400);
    let token = token(&simulator).await;
    for target in ["/api/query", "/api/query?type=Nothing"] {
        assert_eq!(get(&simulator, &token, target).await.status, 400);
    }
}
