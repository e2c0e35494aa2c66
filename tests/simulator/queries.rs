//! The query service.

use crate::{
    client::{Answer, get, started, token},
    simulator::{Options, Simulator},
};

/// The samples and the running session.
const SAMPLES: usize = 7;

async fn query(simulator: &Simulator, parameters: &str) -> Answer {
    let token = token(simulator).await;
    let target = format!("/api/query?type=ReplicaJobSession{parameters}");
    get(simulator, &token, &target).await
}

async fn with_history(history: u32) -> Simulator {
    started(Options {
        history,
        ..Options::default()
    })
    .await
}

fn count(answer: &Answer, what: &str) -> usize {
    answer.text().matches(what).count()
}

#[tokio::test]
async fn pages_hold_100_items_unless_told_otherwise() {
    let simulator = with_history(150).await;
    let first = query(&simulator, "").await;
    assert_eq!(count(&first, "<Ref "), 100);
    assert!(
        first
            .text()
            .contains(r#"<PagingInfo PageNum="1" PageSize="100" PagesCount="2">"#)
    );
    assert_eq!(
        (
            count(&first, r#"Rel="Previous""#),
            count(&first, r#"Rel="Next""#)
        ),
        (0, 1)
    );

    let last = query(&simulator, "&page=2").await;
    assert_eq!(count(&last, "<Ref "), 50 + SAMPLES);
    assert_eq!(
        (
            count(&last, r#"Rel="Previous""#),
            count(&last, r#"Rel="Next""#)
        ),
        (1, 0)
    );

    let beyond = query(&simulator, "&page=3&format=Entities").await;
    assert_eq!(beyond.status, 200);
    assert!(
        beyond
            .text()
            .contains("<Entities><ReplicaJobSessions /></Entities>")
    );
}

#[tokio::test]
async fn page_links_repeat_the_query() {
    let simulator = with_history(0).await;
    let answer = query(
        &simulator,
        "&FORMAT=entities&sortdesc=creationtime&pagesize=2",
    )
    .await;
    assert_eq!(count(&answer, "<ReplicaJobSession "), 2);
    let next = "https://em01.tech.local:9398/api/query?type=ReplicaJobSession&amp;format=Entities\
                &amp;sortDesc=creationtime&amp;pageSize=2&amp;page=2";
    assert_eq!(count(&answer, next), 1);
}

#[tokio::test]
async fn queries_reach_back_without_limit_and_sort_by_creation_time() {
    let simulator = with_history(0).await;
    let oldest = query(
        &simulator,
        "&format=Entities&sortAsc=CreationTime&pageSize=1",
    )
    .await;
    assert_eq!(
        oldest.element("CreationTimeUTC"),
        Some("2014-10-19T06:46:31Z")
    );
    let newest = query(
        &simulator,
        "&format=Entities&sortDesc=CreationTime&pageSize=1",
    )
    .await;
    assert_eq!(newest.element("State"), Some("Working"));
}

#[tokio::test]
async fn what_is_wrong_is_400_and_what_is_missing_501() {
    let simulator = with_history(0).await;
    for (parameters, status, reason) in [
        ("&page=0", 400, "BadRequest"),
        ("&pageSize=x", 400, "BadRequest"),
        (
            "&sortAsc=CreationTime&sortDesc=CreationTime",
            400,
            "BadRequest",
        ),
        ("&filter=Result==Failed", 501, "NotImplemented"),
        ("&sortAsc=JobName", 501, "NotImplemented"),
    ] {
        let answer = query(&simulator, parameters).await;
        assert_eq!(
            (answer.status, &*answer.reason),
            (status, reason),
            "{parameters}"
        );
        assert!(answer.text().contains("<Error "));
    }
    let token = token(&simulator).await;
    assert_eq!(get(&simulator, &token, "/api/query").await.status, 400);
    assert_eq!(
        get(&simulator, &token, "/api/query?type=Nothing")
            .await
            .status,
        400
    );
}
