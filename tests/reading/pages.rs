//! Pages of the query service.

use std::{
    future::Future as _,
    pin::pin,
    task::{Context, Waker},
};

use futures_executor::block_on;
use replica_session_gateway::enterprise_manager::{
    BadResponse, QueryPage, ReplicaSession, SessionState, View, parse_session_page,
};

use crate::document::{EM, ID, entity, kind, read};

type Outcome = Result<QueryPage<ReplicaSession>, BadResponse>;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/enterprise-manager/query-", $name))
    };
}

fn entities(xml: impl AsRef<[u8]>) -> Outcome {
    block_on(parse_session_page(xml.as_ref(), View::Entity, 1000))
}

fn references(xml: &str, limit: usize) -> Outcome {
    block_on(parse_session_page(xml.as_bytes(), View::Reference, limit))
}

/// A page with these children in its list of sessions.
fn page(rows: &str) -> String {
    format!(
        "<QueryResult xmlns=\"{EM}\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:o=\"urn:other\"><Entities><ReplicaJobSessions>{rows}</ReplicaJobSessions></Entities>\
         <PagingInfo PageNum=\"1\" PageSize=\"100\" PagesCount=\"1\"/></QueryResult>"
    )
}

fn row(number: usize, children: &str) -> String {
    let (start, _) = ID.split_at(24);
    format!(
        "<ReplicaJobSession UID=\"urn:veeam:ReplicaJobSession:{start}{number:012x}\"><IsRetry/>\
         {children}</ReplicaJobSession>"
    )
}

#[test]
fn a_page_has_its_sessions_in_em_s_order_and_the_number_of_pages() {
    let page = entities(fixture!("entities.xml")).unwrap();
    let names: Vec<_> = page.items.iter().map(|session| session.name.as_str()).collect();
    assert_eq!(
        names,
        ["Replication Job 2@2025-06-17 20:00:05", "Replication Job 2@2025-06-17 15:16:53"]
    );
    assert_eq!((page.pages_count, page.has_next), (Some(1), false));
    assert!(page.items.iter().all(|session| session.links.len() == 4));
    assert!(page.items.iter().all(|session| session.unmapped.is_empty()));

    let middle = entities(fixture!("entities-page-2-of-3.xml")).unwrap();
    assert_eq!((middle.pages_count, middle.has_next), (Some(3), true));
    let references = references(fixture!("references.xml"), 1).unwrap();
    assert_eq!((references.pages_count, references.has_next), (Some(2), true));
    assert_eq!(references.items[0].name, "SQL Replication@2025-10-19 05:41:52");
    assert_eq!(references.items[0].entity, None);
}

#[test]
fn a_row_is_read_like_the_session_s_own_document() {
    let children = "<Links><Link Rel=\"Up\"/></Links><State>Working</State><Result>Odd</Result>\
                    <Progress>7</Progress><New>thing</New><o:State>Stopped</o:State>";
    let (_, number) = ID.split_at(24);
    let number = usize::from_str_radix(number, 16).unwrap();
    let page = entities(page(&row(number, children))).unwrap();
    assert_eq!(page.items, [read(entity(children)).unwrap()]);
    assert_eq!(page.items[0].entity.as_ref().unwrap().state, Some(SessionState::Working));
}

#[test]
fn every_form_of_an_empty_page_is_read_as_empty() {
    let root = |content: &str| format!("<QueryResult xmlns=\"{EM}\">{content}</QueryResult>");
    for (xml, pages) in [
        (fixture!("entities-empty.xml").to_owned(), Some(1)),
        (fixture!("no-container.xml").to_owned(), Some(0)),
        (root(""), None),
        (root("<Entities/>"), None),
        (root("<Refs/><Entities><ReplicaJobSessions/></Entities>"), None),
        (root("<Resources/><Links><Link Rel=\"Up\"/></Links><PagingInfo/>"), None),
    ] {
        let page = entities(&xml).unwrap();
        assert_eq!((page.items.len(), page.pages_count), (0, pages), "{xml}");
    }
}

#[test]
fn a_page_of_a_thousand_is_read_and_one_beyond_the_limit_is_refused() {
    let rows: String = (0..1000).map(|number| row(number, "<State>Stopped</State>")).collect();
    assert_eq!(entities(page(&rows)).unwrap().items.len(), 1000);
    let rows = rows + &row(1000, "");
    assert_eq!(entities(page(&rows)), Err(BadResponse::TooMany { limit: 1000 }));
}

#[test]
fn reading_a_long_page_yields_to_other_tasks_every_64_sessions() {
    let rows: String = (0..1000).map(|number| row(number, "")).collect();
    let xml = page(&rows);
    let mut reading = pin!(parse_session_page(xml.as_bytes(), View::Entity, 1000));
    let mut context = Context::from_waker(Waker::noop());
    let mut turns = 0;
    while reading.as_mut().poll(&mut context).is_pending() {
        turns += 1;
    }
    assert_eq!(turns, 1000 / 64);
}

#[test]
fn the_other_form_and_another_document_are_distinguished() {
    assert_eq!(
        entities(fixture!("references.xml")),
        Err(BadResponse::WrongRoot { expected: "Entities", found: "Refs".to_owned() })
    );
    let as_references = references(fixture!("entities.xml"), 9);
    assert_eq!(kind(&as_references), "wrong root");
    assert_eq!(kind(&entities(entity("<State>Stopped</State>"))), "wrong root");
    let foreign = "<QueryResult xmlns=\"urn:other\"/>";
    assert_eq!(kind(&entities(foreign)), "wrong root");
}

#[test]
fn an_invalid_row_invalidates_the_page() {
    let good = row(1, "<Progress>1</Progress>");
    for (bad, expected) in [
        (row(2, "<Progress>many</Progress>"), "invalid field"),
        (row(2, "<State>Working</State><State>Stopped</State>"), "invalid field"),
        (row(2, "").replace("ReplicaJobSession:", "Job:"), "wrong session"),
        ("<ReplicaJobSession/>".to_owned(), "wrong session"),
        (row(2, "<!DOCTYPE x>"), "forbidden"),
        (row(2, &("<a>".repeat(40) + &"</a>".repeat(40))), "forbidden"),
        (row(2, "&bomb;"), "malformed"),
        (row(2, "")[..60].to_owned(), "truncated"),
    ] {
        let xml = page(&(good.clone() + &bad));
        assert_eq!(kind(&entities(&xml)), expected, "{xml}");
    }
    // The error names the row, so that the operator can find it.
    let error = entities(page(&row(2, "<Progress>many</Progress>"))).unwrap_err();
    let (start, _) = ID.split_at(24);
    let uid = format!("in \"urn:veeam:ReplicaJobSession:{start}000000000002\"");
    assert!(error.to_string().ends_with(&uid), "{error}");
    let xml = page(&good);
    for end in 1..xml.len() {
        assert_eq!(kind(&entities(&xml[..end])), "truncated", "{end}");
    }
}

#[test]
fn elements_other_than_rows_are_skipped() {
    let rows = format!(
        "<o:ReplicaJobSession/><BackupJobSession><State>x</State></BackupJobSession>\
         <ReplicaJobSession xsi:nil=\"true\"/> text {}",
        row(1, "")
    );
    let mut xml = page(&rows);
    xml = xml.replace(
        "<Entities>",
        "<Entities><BackupJobSessions><ReplicaJobSession/></BackupJobSessions>",
    );
    assert_eq!(entities(xml).unwrap().items.len(), 1);
}

#[test]
fn a_page_that_takes_too_much_memory_is_refused() {
    let links = "<Link/>".repeat(1001);
    let xml = page(&row(1, &format!("<Links>{links}</Links>")));
    assert_eq!(kind(&entities(xml)), "invalid field");
    let texts: Vec<_> = (0..1001).map(|n| format!("<a{n}>b</a{n}>")).collect();
    let texts = texts.concat();
    assert_eq!(kind(&entities(page(&row(1, &texts)))), "invalid field");

    // Less than 4 MB of XML that would become 60 MB of links.
    let links = format!("<Links>{}</Links>", "<Link/>".repeat(600));
    let rows: String = (0..900).map(|number| row(number, &links)).collect();
    assert_eq!(kind(&entities(page(&rows))), "too large");
}
