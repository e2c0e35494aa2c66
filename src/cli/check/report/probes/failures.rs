//! Questions about what is refused, and how.

use super::{Probe, found, status};
use crate::cli::check::report::{
    evidence::{Ask, Seen},
    safe::Safe,
};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "unknown-session",
        question: "How is an unknown session answered?",
        assumed: "404 with an Error, or 500 that says so",
        look: |evidence| status(evidence, Ask::UnknownId, &[404, 500]),
    },
    Probe {
        id: "unknown-session-words",
        question: "Does the answer say `There is no … with id`?",
        assumed: "if it is 500, yes",
        look: |evidence| {
            let seen = evidence.get(Ask::UnknownId)?;
            let says = says_unknown(seen);
            found(Safe::yes(says), says || seen.answer.status != 500)
        },
    },
    Probe {
        id: "unknown-task",
        question: "How is an unknown task answered?",
        assumed: "500 or 404 with an Error",
        look: |evidence| status(evidence, Ask::UnknownTask, &[404, 500]),
    },
    Probe {
        id: "malformed-id",
        question: "How is an id answered that is no GUID?",
        assumed: "400, 404 or 500; none is ever sent",
        look: |evidence| status(evidence, Ask::MalformedId, &[400, 404, 500]),
    },
    Probe {
        id: "urn-in-path",
        question: "How is a urn in the path answered?",
        assumed: "any; none is ever sent",
        look: |evidence| {
            let seen = evidence.get(Ask::Urn)?;
            status(evidence, Ask::Urn, &[seen.answer.status])
        },
    },
    Probe {
        id: "upper-case-id",
        question: "Is an id in upper case found?",
        assumed: "yes; it is sent in lower case",
        look: |evidence| status(evidence, Ask::UpperCase, &[200]),
    },
    Probe {
        id: "unknown-format",
        question: "How is an unknown format answered?",
        assumed: "any; it is never sent",
        look: |evidence| {
            let seen = evidence.get(Ask::OddFormat)?;
            status(evidence, Ask::OddFormat, &[seen.answer.status])
        },
    },
    Probe {
        id: "session-reference",
        question: "What is a session without a format?",
        assumed: "200 and an EntityRef",
        look: |evidence| {
            let seen = evidence.get(Ask::Reference)?;
            let is_reference = super::root(seen) == Safe::word("EntityRef");
            let expected: &[u16] = if is_reference { &[200] } else { &[] };
            status(evidence, Ask::Reference, expected)
        },
    },
    Probe {
        id: "error-parts",
        question: "Of what do Error documents consist?",
        assumed: "Message, StatusCode, Status, FirstChanceExceptionMessage, StackTrace",
        look: |evidence| {
            let known = [
                "Message",
                "StatusCode",
                "Status",
                "FirstChanceExceptionMessage",
                "StackTrace",
                "Error",
            ];
            let is_error = |seen: &&Seen| super::root(seen) == Safe::word("Error");
            let errors = evidence.all.iter().filter(is_error);
            let parts = errors.flat_map(|seen| {
                let elements = seen.outline.elements.iter().skip(1);
                let children = elements.map(|element| element.name.as_str());
                let root = seen.outline.elements.iter().take(1);
                let attributes = root.flat_map(|root| root.attributes.iter());
                let attributes = attributes.map(|(name, _)| name.as_str());
                attributes
                    .filter(|name| !name.starts_with("xmlns"))
                    .chain(children)
            });
            let parts: Vec<_> = parts.map(|name| Safe::one_of(name, &known)).collect();
            (!parts.is_empty()).then_some(())?;
            let holds = !parts.contains(&Safe::word("another"));
            found(Safe::counted(parts), holds)
        },
    },
    Probe {
        id: "error-status",
        question: "Do all Error documents repeat the status of the answer?",
        assumed: "yes",
        look: |evidence| {
            let errors = evidence.all.iter().filter_map(|seen| {
                let root = seen.outline.root().filter(|root| root.name == "Error")?;
                let told = root.attribute("StatusCode")?.trim().parse::<u16>();
                Some(told == Ok(seen.answer.status))
            });
            let errors: Vec<_> = errors.collect();
            (!errors.is_empty()).then_some(())?;
            let holds = errors.into_iter().all(|is_same| is_same);
            found(Safe::yes(holds), holds)
        },
    },
    Probe {
        id: "json-keys",
        question: "How are the keys of JSON written?",
        assumed: "JobName up to 12, jobName in 13; JSON is never asked for",
        look: |evidence| {
            let text = String::from_utf8_lossy(&evidence.get(Ask::Json)?.answer.body).into_owned();
            let pascal = text.contains("\"JobName\"");
            let camel = text.contains("\"jobName\"");
            let told = match (pascal, camel) {
                (true, _) => "JobName",
                (_, true) => "jobName",
                _ => "neither",
            };
            found(Safe::word(told), pascal || camel)
        },
    },
    Probe {
        id: "json-form",
        question: "Has JSON a byte order mark, and nulls?",
        assumed: "any",
        look: |evidence| {
            let seen = evidence.get(Ask::Json)?;
            let has_null = String::from_utf8_lossy(&seen.answer.body).contains("null");
            let told = [
                Safe::yes(seen.outline.has_mark).named("mark"),
                Safe::yes(has_null).named("nulls"),
            ];
            found(Safe::list(told), true)
        },
    },
];

/// Whether the words are those that the gateway takes for `unknown` with a 500.
fn says_unknown(seen: &Seen) -> bool {
    let root = seen.outline.root();
    let message = root
        .and_then(|root| root.attribute("Message"))
        .unwrap_or_default();
    let message = message.to_ascii_lowercase();
    message.contains("there is no ") && message.contains(" with id ")
}
