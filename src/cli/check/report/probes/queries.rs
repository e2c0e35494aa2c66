//! Questions about the query service and the lists.

use jiff::Timestamp;

use super::{Probe, found, status};
use crate::cli::check::{
    outline::{Element, child},
    report::{
        Finding,
        evidence::{Ask, Evidence, Seen},
        safe::Safe,
    },
};

/// How far back the plain list reaches, in seconds, with a day for good measure.
const LISTED_FOR: i64 = 31 * 24 * 3600;

/// An attribute of the paging information that is a number.
fn paging(seen: &Seen, name: &str) -> Option<u64> {
    let info = seen.outline.all("PagingInfo").next()?;
    info.attribute(name)?.trim().parse().ok()
}

/// Items of a result, in whatever form.
fn items(seen: &Seen) -> u64 {
    let all = seen.outline.elements.iter();
    let is_item = |element: &&Element| matches!(element.name.as_str(), "Ref" | "ReplicaJobSession");
    all.filter(is_item).count() as u64
}

/// What became of a page size that was asked for.
fn page_size(evidence: &Evidence, ask: Ask, asked: u64) -> Option<Finding> {
    let seen = evidence.get(ask)?;
    let told = [
        Safe::number(seen.answer.status.into()).named("status"),
        paging(seen, "PageSize").map_or(Safe::word("no PageSize"), Safe::number),
        Safe::number(items(seen)).named("items"),
    ];
    found(Safe::list(told), paging(seen, "PageSize") == Some(asked))
}

fn created(session: &[Element]) -> Option<Timestamp> {
    child(session, "CreationTimeUTC")?.text.trim().parse().ok()
}

/// The earliest session of an answer.
fn earliest(seen: &Seen) -> Option<Timestamp> {
    seen.outline
        .whole("ReplicaJobSession")
        .filter_map(created)
        .min()
}

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "page-size-default",
        question: "How many items has a page when none is asked for?",
        assumed: "100",
        look: |evidence| page_size(evidence, Ask::DefaultPage, 100),
    },
    Probe {
        id: "page-size-1000",
        question: "Is a page of 1000 given?",
        assumed: "yes",
        look: |evidence| page_size(evidence, Ask::Page1000, 1000),
    },
    Probe {
        id: "page-size-2000",
        question: "Is a page of 2000 given?",
        assumed: "yes; it is never asked for",
        look: |evidence| page_size(evidence, Ask::Page2000, 2000),
    },
    Probe {
        id: "page-past-end",
        question: "What is a page past the end?",
        assumed: "empty, or refused with 400 or 404",
        look: |evidence| {
            let seen = evidence.get(Ask::PastEnd)?;
            let (code, items) = (seen.answer.status, items(seen));
            let told = [
                Safe::number(code.into()),
                super::root(seen),
                Safe::number(items).named("items"),
            ];
            let holds = matches!((code, items), (200, 0) | (400 | 404, _));
            found(Safe::list(told), holds)
        },
    },
    Probe {
        id: "paging-info",
        question: "Which attributes and links has the paging information?",
        assumed: "PageNum, PageSize, PagesCount; First, Next, Previous, Last",
        look: |evidence| {
            let seen = evidence.get(Ask::Page)?;
            let mut info = seen.outline.whole("PagingInfo");
            let info = info.next()?;
            let known = ["PageNum", "PageSize", "PagesCount"];
            let names: Vec<_> = info[0]
                .attributes
                .iter()
                .map(|(name, _)| Safe::one_of(name, &known))
                .collect();
            let rels = info.iter().filter_map(|element| element.attribute("Rel"));
            let rels =
                rels.map(|rel| Safe::one_of(rel, &["First", "Next", "Previous", "Prev", "Last"]));
            let all: Vec<_> = names.into_iter().chain(rels).collect();
            let holds = !all.contains(&Safe::word("another"));
            found(Safe::list(all), holds)
        },
    },
    Probe {
        id: "empty-result",
        question: "What has a result without items?",
        assumed: "a QueryResult with an empty container or none",
        look: |evidence| {
            let seen = evidence.get(Ask::Nothing)?;
            let has = |name| seen.outline.all(name).next().is_some();
            let told = [
                Safe::number(seen.answer.status.into()),
                Safe::word(if has("Entities") {
                    "Entities"
                } else {
                    "no Entities"
                }),
                Safe::word(if has("ReplicaJobSessions") {
                    "a container"
                } else {
                    "no container"
                }),
                paging(seen, "PagesCount").map_or(Safe::word("no PagesCount"), |count| {
                    Safe::number(count).named("PagesCount")
                }),
            ];
            found(
                Safe::list(told),
                seen.answer.status == 200 && items(seen) == 0,
            )
        },
    },
    Probe {
        id: "filter-malformed",
        question: "How is a malformed filter answered?",
        assumed: "400 with an Error",
        look: |evidence| status(evidence, Ask::BadFilter, &[400]),
    },
    Probe {
        id: "both-sorts",
        question: "How is a query answered that is sorted both ways?",
        assumed: "any; it is never asked",
        look: |evidence| {
            let seen = evidence.get(Ask::BothSorts)?;
            status(evidence, Ask::BothSorts, &[seen.answer.status])
        },
    },
    Probe {
        id: "sort-order",
        question: "Does sortDesc=CreationTime give the newest first?",
        assumed: "yes",
        look: |evidence| {
            let sessions = evidence.sessions();
            let times: Vec<_> = sessions.into_iter().filter_map(created).collect();
            (times.len() > 1).then_some(())?;
            let holds = times.is_sorted_by(|a, b| a >= b);
            found(Safe::yes(holds), holds)
        },
    },
    Probe {
        id: "list-30-days",
        question: "How many sessions of the plain list are older than 31 days, if there are older ones?",
        assumed: "none",
        look: |evidence| {
            let oldest_listed = Timestamp::now().as_second() - LISTED_FOR;
            let is_old = |time: &Timestamp| time.as_second() < oldest_listed;
            let there_are = earliest(evidence.get(Ask::Oldest)?)
                .as_ref()
                .is_some_and(is_old);
            there_are.then_some(())?;
            let list = evidence.get(Ask::List)?;
            let listed = list.outline.whole("ReplicaJobSession").filter_map(created);
            let old = listed.filter(is_old).count() as u64;
            found(Safe::number(old), old == 0)
        },
    },
    Probe {
        id: "oldest",
        question: "How many days old is the oldest session?",
        assumed: "91 (13 weeks) at most, unless set otherwise",
        look: |evidence| {
            let oldest = earliest(evidence.get(Ask::Oldest)?)?;
            let age = Timestamp::now().as_second() - oldest.as_second();
            let days = u64::try_from(age / (24 * 3600)).unwrap_or(0);
            found(Safe::number(days), days <= 91)
        },
    },
    Probe {
        id: "oldest-by-id",
        question: "Can the oldest session be read by its id?",
        assumed: "yes",
        look: |evidence| status(evidence, Ask::OldSession, &[200]),
    },
    Probe {
        id: "task-list",
        question: "How is the list of a session's tasks answered, rightly spelt?",
        assumed: "200",
        look: |evidence| status(evidence, Ask::Tasks, &[200]),
    },
    Probe {
        id: "task-list-misspelt",
        question: "And with the misspelt path repicaTaskSessions?",
        assumed: "any; it is never asked",
        look: |evidence| {
            let seen = evidence.get(Ask::MisspeltTasks)?;
            status(evidence, Ask::MisspeltTasks, &[seen.answer.status])
        },
    },
];
