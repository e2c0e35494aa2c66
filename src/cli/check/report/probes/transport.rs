//! Questions about TLS, HTTP and the headers of answers.

use super::{Probe, found, header, media_type};
use crate::cli::check::report::{
    evidence::{Ask, Seen},
    safe::Safe,
};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "tls-version",
        question: "Which version of TLS is agreed upon?",
        assumed: "TLS 1.2 or 1.3",
        look: |evidence| found(Safe::word(evidence.handshake?.version), true),
    },
    Probe {
        id: "http2",
        question: "Is HTTP/2 offered?",
        assumed: "no",
        look: |evidence| {
            let offered = evidence.handshake?.speaks_http2;
            found(Safe::yes(offered), !offered)
        },
    },
    Probe {
        id: "server",
        question: "What does the Server header say?",
        assumed: "Microsoft-HTTPAPI/2.0",
        look: |evidence| {
            let server = header(
                evidence.get(Ask::Entity).or(evidence.get(Ask::Root))?,
                "server",
            );
            let known = ["Microsoft-HTTPAPI/2.0", "Kestrel", "none"];
            let server = Safe::one_of(server.unwrap_or("none"), &known);
            let holds = server == Safe::word("Microsoft-HTTPAPI/2.0");
            found(server, holds)
        },
    },
    Probe {
        id: "content-length",
        question: "Do answers with a body lack a Content-Length?",
        assumed: "none",
        look: |evidence| {
            let with_body = |seen: &&Seen| !seen.answer.body.is_empty();
            let mut bodies = evidence.all.iter().filter(with_body).peekable();
            bodies.peek()?;
            let without: Vec<_> = bodies
                .filter(|seen| header(seen, "content-length").is_none())
                .map(|seen| Safe::word(seen.ask.name()))
                .collect();
            let holds = without.is_empty();
            found(Safe::list(without), holds)
        },
    },
    Probe {
        id: "compression",
        question: "Is an answer compressed when gzip is accepted?",
        assumed: "no",
        look: |evidence| {
            let encoding = header(evidence.get(Ask::Gzip)?, "content-encoding");
            let known = ["gzip", "deflate", "br", "identity"];
            let told = encoding.map_or(Safe::word("no"), |name| Safe::one_of(name, &known));
            found(
                told,
                encoding.is_none_or(|name| name.eq_ignore_ascii_case("identity")),
            )
        },
    },
    Probe {
        id: "caching",
        question: "Which headers about caching does a session have?",
        assumed: "none of ETag and Last-Modified",
        look: |evidence| {
            let seen = evidence.get(Ask::Entity)?;
            let names = ["ETag", "Last-Modified", "Cache-Control", "Expires", "Vary"];
            let there = names
                .into_iter()
                .filter(|name| header(seen, name).is_some());
            let there: Vec<_> = there.map(Safe::word).collect();
            let holds = !there.contains(&Safe::word("ETag"))
                && !there.contains(&Safe::word("Last-Modified"));
            found(Safe::list(there), holds)
        },
    },
    Probe {
        id: "media-type",
        question: "Of which media types are XML answers?",
        assumed: "application/xml or text/xml",
        look: |evidence| {
            let xml = evidence.all.iter().filter(|seen| seen.outline.is_whole);
            let types: Vec<_> = xml.map(media_type).collect();
            let good = [Safe::word("application/xml"), Safe::word("text/xml")];
            let holds = types.iter().all(|r#type| good.contains(r#type));
            (!types.is_empty()).then_some(())?;
            found(Safe::counted(types), holds)
        },
    },
    Probe {
        id: "charset",
        question: "Which charset do answers name?",
        assumed: "none or utf-8",
        look: |evidence| {
            let types = evidence
                .all
                .iter()
                .filter_map(|seen| header(seen, "content-type"));
            let charset = |value: &str| {
                let parameters = value.split(';').skip(1);
                let named = parameters.filter_map(|parameter| parameter.split_once('='));
                let charset = named
                    .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
                    .map(|(_, value)| value.trim().trim_matches('"').to_owned());
                let charset = charset.last().unwrap_or("none".to_owned());
                Safe::one_of(
                    &charset,
                    &["utf-8", "us-ascii", "utf-16", "iso-8859-1", "none"],
                )
            };
            let charsets: Vec<_> = types.map(charset).collect();
            (!charsets.is_empty()).then_some(())?;
            let good = [
                Safe::word("utf-8"),
                Safe::word("us-ascii"),
                Safe::word("none"),
            ];
            let holds = charsets.iter().all(|charset| good.contains(charset));
            found(Safe::counted(charsets), holds)
        },
    },
    Probe {
        id: "time-to-answer",
        question: "How long do one session and a page of 100 take, in ms?",
        assumed: "below 5000",
        look: |evidence| {
            let took = |ask| {
                let took = evidence.get(ask)?.took.as_millis();
                u64::try_from(took).ok()
            };
            let (one, page) = (took(Ask::Entity)?, took(Ask::Page)?);
            found(
                Safe::list([Safe::number(one), Safe::number(page)]),
                one.max(page) < 5000,
            )
        },
    },
    Probe {
        id: "size",
        question: "How many bytes have one session and a page of 100?",
        assumed: "below 1 MiB and 8 MiB",
        look: |evidence| {
            let size = |ask| Some(evidence.get(ask)?.answer.body.len() as u64);
            let (one, page) = (size(Ask::Entity)?, size(Ask::Page)?);
            found(
                Safe::list([Safe::number(one), Safe::number(page)]),
                one < 1024 * 1024,
            )
        },
    },
];
