//! The values that OpenTelemetry's variables have: each is read, or what is wrong with it is said as
//! the rest of a sentence that begins with the variable's name.

use std::{fmt, path::Path, str::FromStr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::TrustAnchor;
use secrecy::ExposeSecret as _;
use url::Url;

use crate::runtime::{certificates::roots, file, text::quoted};

/// Which calls are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// A call in a caller's trace follows the caller's decision.
    pub follows_parent: bool,
    /// The fraction of all other calls that are traced: from 0 for none to 1 for all.
    pub ratio: f64,
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = if self.follows_parent { "parentbased_" } else { "" };
        write!(f, "{parent}traceidratio of {}", self.ratio)
    }
}

impl FromStr for Sampling {
    type Err = String;

    /// Parses the name of a sampler; `traceidratio` means all calls until its argument is known.
    fn from_str(sampler: &str) -> Result<Self, String> {
        let root = sampler.strip_prefix("parentbased_");
        let ratio = match root.unwrap_or(sampler) {
            "always_on" | "traceidratio" => 1.0,
            "always_off" => 0.0,
            _ => {
                return Err(format!(
                    "is {}; there are always_on, always_off and traceidratio, each also with \
                     parentbased_ before it",
                    quoted(sampler)
                ));
            }
        };
        Ok(Self { follows_parent: root.is_some(), ratio })
    }
}

pub(super) fn ratio_of_calls(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| format!("is {}, not between 0 and 1", quoted(text)))
}

/// The address with its scheme in small letters, by which tonic recognises it.
pub(super) fn endpoint(text: &str) -> Result<String, String> {
    text.parse()
        .ok()
        .filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .filter(|url| url.path() == "/" && url.query().is_none())
        .map(|url| format!("{}{}", url.scheme(), &text[url.scheme().len()..]))
        // The value is left out: it may hold credentials.
        .ok_or_else(|| {
            "is not an address such as http://collector.example:4317, without a path".to_owned()
        })
}

/// Reads `name=value,…` with percent-encoded values. What is wrong is said without any of it: it may
/// be a secret.
pub(super) fn headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (entry, number) in text.split(',').zip(1..).filter(|(entry, _)| !entry.trim().is_empty()) {
        let wrong = |problem: &str| format!("has an entry, number {number}, {problem}");
        let (name, value) = entry.split_once('=').ok_or_else(|| {
            wrong("that is not of the form name=value; write %2C for a comma in a value")
        })?;
        let name = HeaderName::from_str(name.trim())
            .map_err(|_| wrong("whose name cannot be that of a header"))?;
        let value = percent_decoded(value.trim())
            .ok_or_else(|| wrong("with a % that no two hexadecimal digits follow; write %25"))?;
        let mut value = HeaderValue::from_bytes(&value)
            .ok()
            .filter(|value| value.to_str().is_ok())
            .ok_or_else(|| wrong("whose value has characters that a header cannot have"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.as_bytes().split(|byte| *byte == b'%');
    let mut decoded = parts.next()?.to_owned();
    for part in parts {
        decoded.extend(hex::decode(part.get(..2)?).ok()?);
        decoded.extend(&part[2..]);
    }
    Some(decoded)
}

pub(super) fn read_ca(path: &str) -> Result<Vec<TrustAnchor<'static>>, String> {
    let pem = file::read(Path::new(path))?;
    let roots = roots(pem.expose_secret()).map_err(|why| format!("{path} {why}"))?;
    Ok(roots.roots)
}

pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("is {}, not a number of milliseconds from 1", quoted(text)))
}

pub(super) fn spans(text: &str) -> Result<usize, String> {
    // The queue takes its memory at the start.
    const MOST: usize = 1_000_000;
    text.parse()
        .ok()
        .filter(|number| (1..=MOST).contains(number))
        .ok_or_else(|| format!("is {}, not a number of spans from 1 to {MOST}", quoted(text)))
}

pub(super) fn true_or_false(text: &str) -> Result<bool, String> {
    let text = text.to_ascii_lowercase();
    text.parse().map_err(|_| format!("is {}, neither true nor false", quoted(&text)))
}
