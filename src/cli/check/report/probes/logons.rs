//! Questions about discovery, logon and logoff.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{Probe, found, header, status};
use crate::cli::check::report::{
    evidence::{Ask, Seen},
    safe::Safe,
};

/// The bytes that the token stands for.
fn token(seen: &Seen) -> Option<Vec<u8>> {
    let (_, token) = seen.answer.token()?;
    BASE64_STANDARD.decode(token.as_bytes()).ok()
}

/// The bare `WWW-Authenticate` scheme of an answer.
fn challenge(seen: &Seen) -> Safe {
    let value = header(seen, "www-authenticate").unwrap_or("none");
    let scheme = value.split(' ').next().unwrap_or_default();
    Safe::one_of(scheme, &["Basic", "Negotiate", "NTLM", "Bearer", "none"])
}

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "api-versions",
        question: "Which versions of the API are offered?",
        assumed: "v1_7 among them",
        look: |evidence| {
            let known = [
                "v1", "v1_1", "v1_2", "v1_3", "v1_4", "v1_5", "v1_6", "v1_7", "v1_8", "v1_9", "v2",
            ];
            let versions = evidence.get(Ask::Root)?.outline.all("SupportedVersion");
            let names = versions.filter_map(|version| version.attribute("Name"));
            let names: Vec<_> = names.map(|name| Safe::one_of(name, &known)).collect();
            (!names.is_empty()).then_some(())?;
            let holds = names.contains(&Safe::word("v1_7"));
            found(Safe::list(names), holds)
        },
    },
    Probe {
        id: "logon-status",
        question: "How is a good logon answered?",
        assumed: "201 with a LogonSession",
        look: |evidence| status(evidence, Ask::Logon, &[201]),
    },
    Probe {
        id: "logon-location",
        question: "Has the answer to a logon a Location?",
        assumed: "any",
        look: |evidence| {
            let location = header(evidence.get(Ask::Logon)?, "location");
            found(Safe::yes(location.is_some()), true)
        },
    },
    Probe {
        id: "logon-cookie",
        question: "Which attributes has the session cookie?",
        assumed: "Path=/api",
        look: |evidence| {
            let cookie = header(evidence.get(Ask::Logon)?, "set-cookie")?;
            let known = [
                "Path=/api",
                "Path=/",
                "Secure",
                "HttpOnly",
                "SameSite=Lax",
                "SameSite=Strict",
            ];
            let attributes = cookie.split(';').skip(1).map(str::trim);
            let attributes = attributes.filter(|attribute| !attribute.is_empty());
            let attributes: Vec<_> = attributes
                .map(|attribute| Safe::one_of(attribute, &known))
                .collect();
            let holds = attributes.contains(&Safe::word("Path=/api"));
            found(Safe::list(attributes), holds)
        },
    },
    Probe {
        id: "token-form",
        question: "Of which form is a token?",
        assumed: "base64 of 16 bytes, or of a GUID's text; any is taken",
        look: |evidence| {
            let seen = evidence.get(Ask::Logon)?;
            let (_, bare) = seen.answer.token()?;
            let form = match token(seen).map(|bytes| bytes.len()) {
                Some(16) => "base64 of 16 bytes",
                Some(36) => "base64 of 36 bytes",
                Some(_) => "base64",
                None if bare.len() == 36 => "36 characters",
                None => "another",
            };
            found(Safe::word(form), true)
        },
    },
    Probe {
        id: "token-and-id",
        question: "Is the token made of the SessionId?",
        assumed: "any; it is taken from the header",
        look: |evidence| {
            let seen = evidence.get(Ask::Logon)?;
            let id = seen.outline.all("SessionId").next()?.text.trim().to_owned();
            let guid: Option<uuid::Uuid> = id.parse().ok();
            let token = token(seen)?;
            let is_made = token == id.as_bytes()
                || guid.is_some_and(|guid| token == guid.as_bytes() || token == guid.to_bytes_le());
            found(Safe::yes(is_made), true)
        },
    },
    Probe {
        id: "logon-bare",
        question: "How is a logon without credentials answered?",
        assumed: "401, and the challenge Basic",
        look: |evidence| {
            let seen = evidence.get(Ask::BareLogon)?;
            let told = [
                Safe::number(seen.answer.status.into()),
                super::root(seen),
                challenge(seen).named("challenge"),
            ];
            let holds = seen.answer.status == 401 && challenge(seen) == Safe::word("Basic");
            found(Safe::list(told), holds)
        },
    },
    Probe {
        id: "logon-unknown-version",
        question: "How is a logon for an unknown version answered?",
        assumed: "with an error",
        look: |evidence| {
            let errors: Vec<u16> = (400..600).collect();
            status(evidence, Ask::OddVersion, &errors)
        },
    },
    Probe {
        id: "unknown-logon-session",
        question: "How is an unknown logon session answered?",
        assumed: "500, or 404",
        look: |evidence| status(evidence, Ask::UnknownLogon, &[404, 500]),
    },
    Probe {
        id: "logoff",
        question: "How is a logoff answered?",
        assumed: "204",
        look: |evidence| status(evidence, Ask::LogOff, &[204]),
    },
    Probe {
        id: "logoff-again",
        question: "And a second one?",
        assumed: "with an error",
        look: |evidence| {
            let errors: Vec<u16> = (400..600).collect();
            status(evidence, Ask::LogOffAgain, &errors)
        },
    },
    Probe {
        id: "dead-token",
        question: "How is a token answered that has been logged off?",
        assumed: "401",
        look: |evidence| {
            let seen = evidence.get(Ask::DeadToken)?;
            let told = [
                Safe::number(seen.answer.status.into()),
                super::root(seen),
                challenge(seen).named("challenge"),
            ];
            found(Safe::list(told), seen.answer.status == 401)
        },
    },
];
