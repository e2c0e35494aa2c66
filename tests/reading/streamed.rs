//! A list that arrives in pieces is read as one that arrives at once.

use allocation_counter::measure;
use proptest::prelude::*;
use replica_session_gateway::enterprise_manager::{
    BadResponse, ListReader, MAX_UNREAD, QueryPage, View, session_page_reader, task_list_reader,
    task_page_reader,
};

use crate::document::{EM, id};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/enterprise-manager/", $name, ".xml"))
    };
}

const FIXTURES: [&str; 8] = [
    fixture!("query-entities"),
    fixture!("query-entities-page-2-of-3"),
    fixture!("query-entities-empty"),
    fixture!("query-no-container"),
    fixture!("query-references"),
    fixture!("task-entity-list-running"),
    fixture!("session-entity-list"),
    fixture!("error-500-stack-trace"),
];

/// What the one who looks for a place to cut could stumble over.
const PIECES: [&str; 20] = [
    "<!-- </ReplicaJobSession> > -->",
    "<!-->",
    "<![CDATA[</ReplicaJobSessions>]]>",
    "<![CDATA[",
    "]]>",
    "<?x </Entities> ?>",
    "<?>",
    "<!DOCTYPE x>",
    " a=\"</ReplicaJobSession>\"",
    " a='/>'",
    "<a/>",
    "</a>",
    "<a b='>'>",
    "<Entities><ReplicaJobSessions>",
    "</ReplicaJobSessions></Entities>",
    "<x:Ref xmlns:x='urn:x'/>",
    "<",
    ">",
    "/",
    "&lt;",
];

type Outcome<T> = Result<QueryPage<T>, BadResponse>;

/// Reads a document that arrives in pieces of these lengths, again and again.
fn streamed<T>(mut reader: ListReader<T>, xml: &[u8], lengths: &[usize]) -> Outcome<T> {
    let mut unread = Vec::new();
    let mut rest = xml;
    for length in lengths.iter().cycle() {
        let (piece, later) = rest.split_at((*length).min(rest.len()));
        unread.extend_from_slice(piece);
        rest = later;
        if !reader.advance(&mut unread) || rest.is_empty() {
            break;
        }
    }
    reader.finish(&unread)
}

/// Checks it for one kind of list.
fn is_read_alike<T: PartialEq + std::fmt::Debug>(
    reader: impl Fn() -> ListReader<T>,
    xml: &[u8],
    lengths: &[usize],
    batch: usize,
) {
    let in_pieces = streamed(reader().in_batches_of(batch), xml, lengths);
    let at_once = streamed(reader().in_batches_of(batch), xml, &[xml.len().max(1)]);
    assert_eq!(in_pieces, at_once, "{}", String::from_utf8_lossy(xml));
    let whole = reader().finish(xml);
    // Of two faults, another one may be met first.
    if whole.is_ok() || in_pieces.is_ok() {
        assert_eq!(in_pieces, whole, "{}", String::from_utf8_lossy(xml));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_is_read_alike_however_it_is_split(
        fixture in prop::sample::select(&FIXTURES[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&PIECES[..]), 0..40_usize), 0..3),
        lengths in prop::collection::vec(1..200_usize, 1..8),
        batch in prop_oneof![Just(0), 0..3000_usize],
    ) {
        let mut xml = fixture.as_bytes().to_vec();
        for (at, piece, removed) in changes {
            let at = at.index(xml.len() + 1);
            let end = (at + removed).min(xml.len());
            // Mostly something is put in, where it may even fit: between two tags.
            let end = if removed < 30 { at } else { end };
            let mark = xml[at..].iter().position(|byte| *byte == b'>');
            let (from, to) = match mark {
                Some(mark) if removed < 20 => (at + mark + 1, at + mark + 1),
                _ => (at, end),
            };
            xml.splice(from..to, piece.bytes());
        }
        is_read_alike(|| session_page_reader(View::Entity, 1000), &xml, &lengths, batch);
        is_read_alike(|| session_page_reader(View::Reference, 1), &xml, &lengths, batch);
        is_read_alike(|| task_list_reader(id()), &xml, &lengths, batch);
        is_read_alike(|| task_page_reader(id(), 1), &xml, &lengths, batch);
    }
}

#[test]
fn every_fixture_is_read_alike_byte_by_byte() {
    for xml in FIXTURES {
        let xml = xml.trim_end().as_bytes();
        is_read_alike(|| session_page_reader(View::Entity, 1000), xml, &[1], 0);
        is_read_alike(|| session_page_reader(View::Reference, 1000), xml, &[1], 0);
        for end in 0..xml.len() {
            let cut = streamed(
                session_page_reader(View::Entity, 9).in_batches_of(0),
                &xml[..end],
                &[7],
            );
            assert!(cut.is_err(), "{end}");
        }
    }
}

/// A page of so many sessions, each with a failure message of so many bytes.
fn page(sessions: usize, message: usize) -> String {
    let message = "x".repeat(message);
    let row = |number: usize| {
        format!(
            "<ReplicaJobSession Name=\"SQL Replication@2025-10-19 05:41:52\" Type=\"ReplicaJobSession\" \
             UID=\"urn:veeam:ReplicaJobSession:5e550000-0000-4000-8000-{number:012x}\">\
             <JobName>SQL Replication</JobName><State>Stopped</State>\
             <FailureMessage>{message}</FailureMessage></ReplicaJobSession>"
        )
    };
    let rows: String = (0..sessions).map(row).collect();
    format!(
        "<QueryResult xmlns=\"{EM}\"><Entities><ReplicaJobSessions>{rows}</ReplicaJobSessions>\
         </Entities><PagingInfo PagesCount=\"7\"/></QueryResult>"
    )
}

#[test]
fn of_a_long_page_only_a_batch_and_the_sessions_are_in_memory() {
    const HTTP_PIECE: usize = 16 * 1024;
    let xml = page(1000, 2000);
    let mut read = None;
    let used = measure(|| {
        let reader = session_page_reader(View::Entity, 1000);
        read = Some(streamed(reader, xml.as_bytes(), &[HTTP_PIECE]).expect("a page"));
    });
    let kept = measure(|| drop(read.clone())).bytes_max;
    let read = read.expect("a page");
    assert_eq!((read.items.len(), read.pages_count), (1000, Some(7)));
    let besides = used.bytes_max - kept;
    assert!(xml.len() > 2_200_000);
    assert!(
        besides < 512 * 1024,
        "{besides} bytes besides {kept} of the sessions"
    );
}

#[test]
fn what_cannot_be_read_bit_by_bit_may_not_be_long() {
    let too_large = Err(BadResponse::TooLarge { limit: MAX_UNREAD });
    let reader = || session_page_reader(View::Entity, 1000);
    for (xml, is_read) in [
        (page(2, MAX_UNREAD - 100_000), true),
        (page(1, MAX_UNREAD), false),
        (
            page(1, 0).replace(
                "<Entities>",
                &format!("<Links>{}</Links><Entities>", " ".repeat(MAX_UNREAD)),
            ),
            false,
        ),
        (format!("<!DOCTYPE x>{}", page(1, MAX_UNREAD)), false),
    ] {
        for length in [1_000, 100_000, xml.len()] {
            let outcome = streamed(reader(), xml.as_bytes(), &[length]);
            if is_read {
                assert!(outcome.is_ok());
            } else {
                assert_eq!(outcome, too_large);
            }
        }
    }
}
