//! Randomly corrupted documents. The seed is fixed, so failures are reproducible.

use std::{collections::BTreeSet, ops::Range};

use allocation_counter::measure;
use replica_session_gateway::enterprise_manager::{View, parse_replica_session};

use crate::document::{Outcome, kind};

const DOCUMENTS: usize = 4_000;
/// Maximum memory, in bytes, that reading any document in both views may use at a time.
const MOST_MEMORY: u64 = 4 * 1024 * 1024;

const SEED: u64 = 20_141_019;

macro_rules! fixture {
    ($name:literal, $id:literal) => {
        (include_str!(concat!("../fixtures/enterprise-manager/", $name)), $id)
    };
}

const FIXTURES: [(&str, &str); 6] = [
    fixture!("session-entity-published.xml", "0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b"),
    fixture!("session-entity-documented-13.1.xml", "04f694ad-664c-4603-a747-00edecae4f17"),
    fixture!("session-names-escaped.xml", "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f00e"),
    fixture!("session-failed-with-message.xml", "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f00c"),
    fixture!("session-running-empty-failure-message.xml", "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f003"),
    fixture!("session-reference-published.xml", "0bcf5a1e-866c-4b40-8bc3-ce64753b9a6b"),
];

const SNIPPETS: [&str; 34] = [
    "<",
    ">",
    "/>",
    "</",
    "&",
    ";",
    "\"",
    "'",
    "=",
    "\0",
    "\r",
    "\u{a0}",
    "\u{feff}",
    "&#x1F;",
    "&#99999999999;",
    "&lt;",
    "&bomb;",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "<?",
    "?>",
    "<?xml version=\"1.0\" encoding=\"utf-16\"?>",
    "<!DOCTYPE x [<!ENTITY bomb \"&bomb;\">]>",
    "<State>Stopped</State>",
    "<Progress>99999999999</Progress>",
    "<EndTimeUTC>-9999</EndTimeUTC>",
    "<x:State>",
    "<Link/>",
    "</Links>",
    " xmlns=\"\"",
    " xsi:nil=\"true\"",
    " UID=\"\"",
];

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).expect("64 bits hold a length");
        usize::try_from(self.next() % limit).expect("below a length")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn range(&mut self, length: usize) -> Range<usize> {
        let start = self.below(length);
        start..(start + self.below(200)).min(length)
    }
}

fn mutate(xml: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(xml.len());
    match random.below(12) {
        0 => xml.truncate(at),
        1 => replace(xml, at, |byte| byte ^ (random.byte() | 1)),
        2 => replace(xml, at, |_| b' ' + random.byte() % 95),
        3..=5 => insert(xml, at, SNIPPETS[random.below(SNIPPETS.len())].as_bytes()),
        6 => {
            let removed = random.range(xml.len());
            xml.drain(removed);
        }
        7 => {
            let copied = xml[random.range(xml.len())].to_vec();
            insert(xml, at, &copied);
        }
        8 => {
            let value = "R&amp;D\r\n".repeat(random.below(4_000));
            in_a_tag(xml, random, &format!(" a=\"{value}\""));
        }
        9 => {
            let depth = random.below(2_000);
            let nested = "<a>".repeat(depth) + &"</a>".repeat(depth);
            before_a_tag(xml, random, &nested);
        }
        10 => {
            let count = random.below(300);
            let declarations = numbered(count, |n| format!(" xmlns:n{n}=\"urn:{n}\""));
            in_a_tag(xml, random, &declarations);
        }
        _ => {
            let count = random.below(1_000);
            in_a_tag(xml, random, &numbered(count, |n| format!(" a{n}='{n}'")));
        }
    }
}

fn replace(xml: &mut [u8], at: usize, with: impl FnOnce(u8) -> u8) {
    if let Some(byte) = xml.get_mut(at) {
        *byte = with(*byte);
    }
}

fn insert(xml: &mut Vec<u8>, at: usize, inserted: &[u8]) {
    xml.splice(at..at, inserted.iter().copied());
}

fn before_a_tag(xml: &mut Vec<u8>, random: &mut Random, inserted: &str) {
    at_one_of(xml, random, b'<', inserted);
}

/// Inserts before the end of a tag. In an end tag this too is malformed.
fn in_a_tag(xml: &mut Vec<u8>, random: &mut Random, inserted: &str) {
    at_one_of(xml, random, b'>', inserted);
}

fn at_one_of(xml: &mut Vec<u8>, random: &mut Random, mark: u8, inserted: &str) {
    let is_mark = |&at: &usize| xml[at] == mark;
    let marks: Vec<usize> = (0..xml.len()).filter(is_mark).collect();
    if let Some(&at) = marks.get(random.below(marks.len())) {
        insert(xml, at, inserted.as_bytes());
    }
}

fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

/// Reads the document in both views. A session, if read, must be the requested one.
fn read(xml: &[u8], id: &str) -> [Outcome; 2] {
    let id = id.parse().expect("a UUID");
    let urn = format!("urn:veeam:ReplicaJobSession:{id}");
    [View::Entity, View::Reference].map(|view| {
        let outcome = parse_replica_session(xml, id, view);
        if let Ok(session) = &outcome {
            assert_eq!(session.id, id);
            assert_eq!(session.uid.to_lowercase(), urn.to_lowercase());
        }
        outcome
    })
}

#[test]
fn a_corrupted_document_is_refused_or_is_the_requested_session() {
    let mut random = Random(SEED);
    let mut kinds = BTreeSet::new();
    for number in 0..DOCUMENTS {
        let (xml, id) = FIXTURES[number % FIXTURES.len()];
        let mut xml = xml.as_bytes().to_vec();
        for _ in 0..=random.below(3) {
            mutate(&mut xml, &mut random);
        }
        let mut outcomes = None;
        let memory = measure(|| outcomes = Some(read(&xml, id))).bytes_max;
        assert!(memory < MOST_MEMORY, "{memory} bytes for {}", xml.len());
        kinds.extend(outcomes.iter().flatten().map(kind));
    }
    // The documents trigger every kind of error that the reader distinguishes.
    let every_kind = [
        "forbidden",
        "invalid field",
        "malformed",
        "read",
        "truncated",
        "wrong root",
        "wrong session",
    ];
    assert_eq!(kinds, BTreeSet::from(every_kind));
}

#[test]
fn a_fixture_truncated_at_any_byte_is_refused() {
    let (xml, id) = FIXTURES[0];
    for end in 0..xml.len() {
        for outcome in read(&xml.as_bytes()[..end], id) {
            let kind = kind(&outcome);
            assert!(matches!(kind, "truncated" | "wrong root"), "{end}: {kind}");
        }
    }
}

#[test]
fn a_fixture_with_a_flipped_bit_is_refused_or_is_the_requested_session() {
    let (xml, id) = FIXTURES[1];
    let mut xml = xml.as_bytes().to_vec();
    for at in 0..xml.len() {
        for bit in [0, 2, 5, 7] {
            xml[at] ^= 1 << bit;
            let _ = read(&xml, id);
            xml[at] ^= 1 << bit;
        }
    }
}
