//! Questions about the XML: how it is written, whatever it says.

use super::{Probe, found};
use crate::cli::check::{
    outline::{Element, child},
    report::{
        evidence::{Ask, Evidence, Seen},
        safe::Safe,
    },
};

const NAMESPACE: &str = "http://www.veeam.com/ent/v1.0";

/// The elements of a session in the order of the schema.
const FIELDS: [&str; 11] = [
    "Links",
    "JobUid",
    "JobName",
    "JobType",
    "CreationTimeUTC",
    "EndTimeUTC",
    "State",
    "Result",
    "Progress",
    "FailureMessage",
    "IsRetry",
];

const GENERAL: [Ask; 5] = [
    Ask::Root,
    Ask::Logon,
    Ask::Entity,
    Ask::Page,
    Ask::UnknownId,
];

/// Well-formed documents of all kinds.
fn documents(evidence: &Evidence) -> Option<Vec<&Seen>> {
    let seen = GENERAL.into_iter().filter_map(|ask| evidence.get(ask));
    let whole: Vec<_> = seen.filter(|seen| seen.outline.is_whole).collect();
    (!whole.is_empty()).then_some(whole)
}

/// The documents of which something is so.
fn of_which<'s>(documents: &[&'s Seen], is_so: impl Fn(&'s Seen) -> bool) -> Vec<Safe> {
    let names = documents.iter().filter(|seen| is_so(seen));
    names.map(|seen| Safe::word(seen.ask.name())).collect()
}

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "well-formed",
        question: "Which XML answers are not well-formed to their end?",
        assumed: "none",
        look: |evidence| {
            let xml = |seen: &&Seen| !seen.outline.elements.is_empty();
            let all: Vec<_> = evidence.all.iter().filter(xml).collect();
            let broken = of_which(&all, |seen| {
                !seen.outline.is_whole
                    && seen.outline.root().is_some_and(|root| root.name != "html")
            });
            let holds = broken.is_empty();
            found(Safe::list(broken), holds)
        },
    },
    Probe {
        id: "bom-xml",
        question: "Which XML answers start with a byte order mark?",
        assumed: "any may",
        look: |evidence| {
            let marked = of_which(&documents(evidence)?, |seen| seen.outline.has_mark);
            found(Safe::list(marked), true)
        },
    },
    Probe {
        id: "declaration",
        question: "Which encoding does the XML declaration name?",
        assumed: "utf-8, or no declaration",
        look: |evidence| {
            let documents = documents(evidence)?;
            let declared = documents.iter().map(|seen| match &seen.outline.declared {
                None => Safe::word("no declaration"),
                Some(name) => Safe::one_of(name, &["utf-8", "utf-16", "us-ascii", ""]),
            });
            let declared: Vec<_> = declared.collect();
            let good = [
                Safe::word("no declaration"),
                Safe::word("utf-8"),
                Safe::word(""),
            ];
            let holds = declared.iter().all(|name| good.contains(name));
            found(Safe::counted(declared), holds)
        },
    },
    Probe {
        id: "namespace",
        question: "Which documents are not in the namespace of Enterprise Manager?",
        assumed: "none",
        look: |evidence| {
            let others = of_which(&documents(evidence)?, |seen| {
                let root = seen.outline.root();
                root.and_then(|root| root.attribute("xmlns")) != Some(NAMESPACE)
            });
            let holds = others.is_empty();
            found(Safe::list(others), holds)
        },
    },
    Probe {
        id: "prefixes",
        question: "Which documents have elements with a prefix?",
        assumed: "none",
        look: |evidence| {
            let prefixed = of_which(&documents(evidence)?, |seen| {
                seen.outline
                    .elements
                    .iter()
                    .any(|element| element.is_prefixed)
            });
            let holds = prefixed.is_empty();
            found(Safe::list(prefixed), holds)
        },
    },
    Probe {
        id: "schema-namespaces",
        question: "Which documents declare xsd and xsi?",
        assumed: "any may",
        look: |evidence| {
            let declare = of_which(&documents(evidence)?, |seen| {
                let root = seen.outline.root();
                root.is_some_and(|root| root.attribute("xmlns:xsi").is_some())
            });
            found(Safe::list(declare), true)
        },
    },
    Probe {
        id: "attribute-order",
        question: "In which order are the attributes of a session?",
        assumed: "any",
        look: |evidence| {
            let root = evidence.get(Ask::Entity)?.outline.root()?;
            let known = [
                "xmlns",
                "xmlns:xsd",
                "xmlns:xsi",
                "Type",
                "Href",
                "Name",
                "UID",
            ];
            let names = root.attributes.iter();
            found(
                Safe::list(names.map(|(name, _)| Safe::one_of(name, &known))),
                true,
            )
        },
    },
    Probe {
        id: "more-attributes",
        question: "How many attributes of a session are unknown?",
        assumed: "0",
        look: |evidence| {
            let root = evidence.get(Ask::Entity)?.outline.root()?;
            let known = ["Type", "Href", "Name", "UID"];
            let is_unknown = |name: &str| !name.starts_with("xmlns") && !known.contains(&name);
            let unknown = root.attributes.iter().filter(|(name, _)| is_unknown(name));
            let count = unknown.count() as u64;
            found(Safe::number(count), count == 0)
        },
    },
    Probe {
        id: "more-elements",
        question: "How many elements of sessions are unknown?",
        assumed: "0",
        look: |evidence| {
            let sessions = some(evidence.sessions())?;
            let unknown = sessions.iter().flat_map(|session| children(session));
            let count = unknown.filter(|name| !FIELDS.contains(name)).count() as u64;
            found(Safe::number(count), count == 0)
        },
    },
    Probe {
        id: "element-order",
        question: "Are the elements of all sessions in the order of the schema?",
        assumed: "yes",
        look: |evidence| {
            let sessions = some(evidence.sessions())?;
            let place = |name: &str| FIELDS.iter().position(|field| *field == name);
            let is_sorted = |session: &&[Element]| {
                children(session)
                    .filter_map(place)
                    .is_sorted_by(|a, b| a < b)
            };
            let holds = sessions.iter().all(is_sorted);
            found(Safe::yes(holds), holds)
        },
    },
    Probe {
        id: "missing-elements",
        question: "Which elements do some sessions lack?",
        assumed: "EndTimeUTC, FailureMessage and Links at most",
        look: |evidence| {
            let sessions = some(evidence.sessions())?;
            let lacks = |field: &&&str| {
                sessions
                    .iter()
                    .any(|session| child(session, field).is_none())
            };
            let lacking: Vec<_> = FIELDS.iter().filter(lacks).copied().collect();
            let optional = ["EndTimeUTC", "FailureMessage", "Links"];
            let holds = lacking.iter().all(|field| optional.contains(field));
            found(Safe::list(lacking.into_iter().map(Safe::word)), holds)
        },
    },
    Probe {
        id: "nil",
        question: "Do elements of sessions have xsi:nil?",
        assumed: "no",
        look: |evidence| {
            let sessions = some(evidence.sessions())?;
            let mut elements = sessions.iter().flat_map(|session| session.iter());
            let is_nil = elements.any(|element| element.attribute("xsi:nil").is_some());
            found(Safe::yes(is_nil), !is_nil)
        },
    },
    Probe {
        id: "odd-markup",
        question: "Which of document type, CDATA, comment or numeric character reference occur?",
        assumed: "no document type",
        look: |evidence| {
            let documents: Vec<_> = evidence.all.iter().map(|seen| &seen.outline).collect();
            let has_doctype = documents.iter().any(|outline| {
                outline.has_doctype && outline.root().is_some_and(|root| root.name != "html")
            });
            let kinds = [
                ("document type", has_doctype),
                ("CDATA", documents.iter().any(|outline| outline.has_cdata)),
                (
                    "comment",
                    documents.iter().any(|outline| outline.has_comments),
                ),
                (
                    "character reference",
                    documents
                        .iter()
                        .any(|outline| outline.has_character_references),
                ),
            ];
            let there = kinds.into_iter().filter(|(_, is_there)| *is_there);
            found(
                Safe::list(there.map(|(kind, _)| Safe::word(kind))),
                !has_doctype,
            )
        },
    },
    Probe {
        id: "uid-form",
        question: "Are all UIDs urn:veeam:ReplicaJobSession: and a GUID in lower case?",
        assumed: "yes",
        look: |evidence| {
            let sessions = some(evidence.sessions())?;
            let is_good = |session: &&[Element]| {
                let uid = session[0].attribute("UID").unwrap_or_default();
                let id = uid
                    .strip_prefix("urn:veeam:ReplicaJobSession:")
                    .unwrap_or_default();
                let parsed = id.parse::<uuid::Uuid>();
                parsed.is_ok_and(|parsed| parsed.to_string() == id)
            };
            let holds = sessions.iter().all(is_good);
            found(Safe::yes(holds), holds)
        },
    },
];

pub(super) fn some<T>(all: Vec<T>) -> Option<Vec<T>> {
    (!all.is_empty()).then_some(all)
}

/// The names of an element's direct children.
fn children(session: &[Element]) -> impl Iterator<Item = &str> {
    let depth = session[0].depth + 1;
    let direct = session.iter().filter(move |element| element.depth == depth);
    direct.map(|element| element.name.as_str())
}
