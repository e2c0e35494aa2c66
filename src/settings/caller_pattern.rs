//! Patterns for the names in callers' certificates, of `--allow-caller`.

use std::{fmt, str::FromStr};

/// A URI or DNS name that a caller's certificate must carry among its alternative names. A URI may
/// end in `/*`, which stands for one path segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerPattern {
    /// This DNS name, in any letter case.
    Dns(String),
    /// This URI, letter for letter.
    Uri(String),
    /// Any URI that continues this one, which ends with a slash, by one segment.
    UriFolder(String),
}

impl CallerPattern {
    /// Whether this DNS name of a certificate matches.
    pub fn matches_dns(&self, name: &str) -> bool {
        matches!(self, Self::Dns(wanted) if wanted.eq_ignore_ascii_case(name))
    }

    /// Whether this URI of a certificate matches.
    pub fn matches_uri(&self, uri: &str) -> bool {
        match self {
            Self::Dns(_) => false,
            Self::Uri(wanted) => wanted == uri,
            Self::UriFolder(folder) => uri.strip_prefix(folder.as_str()).is_some_and(is_segment),
        }
    }
}

/// One plain path segment, without escapes: a reader that decodes them would see another path.
fn is_segment(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !matches!(text, "" | "." | "..") && text.bytes().all(is_plain)
}

impl FromStr for CallerPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let folder = text.strip_suffix('*');
        let name = folder.unwrap_or(text);
        if name.contains('*') {
            return Err(format!("{text:?} has a * elsewhere than as its last path segment"));
        }
        if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{text:?} has blanks or letters beyond ASCII"));
        }
        let Some((scheme, rest)) = name.split_once(':') else {
            return match folder {
                Some(_) => Err(format!(
                    "{text:?} is a DNS name, which may have no *; only URIs may, at their end"
                )),
                None if name.is_empty() || name.contains('/') => {
                    Err(format!("{text:?} is neither a URI nor a DNS name"))
                }
                None => Ok(Self::Dns(name.to_owned())),
            };
        };
        if scheme.is_empty() || rest.is_empty() {
            return Err(format!("{text:?} is neither a URI nor a DNS name"));
        }
        if folder.is_none() {
            return Ok(Self::Uri(name.to_owned()));
        }
        // `spiffe://*` would be any trust domain, not any segment of a path.
        let path = rest.strip_prefix("//").and_then(|rest| rest.find('/'));
        if path.is_some_and(|at| at > 0) && rest.ends_with('/') {
            return Ok(Self::UriFolder(name.to_owned()));
        }
        Err(format!("{text:?} has a * elsewhere than as its last path segment"))
    }
}

impl fmt::Display for CallerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Uri(name) => f.write_str(name),
            Self::UriFolder(folder) => write!(f, "{folder}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> CallerPattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_star_stands_for_one_plain_segment() {
        let any = pattern("spiffe://mesh/ns/replication/sa/*");
        assert!(any.matches_uri("spiffe://mesh/ns/replication/sa/reporter"));
        for other in [
            "spiffe://mesh/ns/replication/sa/",
            "spiffe://mesh/ns/replication/sa",
            "spiffe://mesh/ns/replication/sa/a/b",
            "spiffe://mesh/ns/replication/sa/..",
            "spiffe://mesh/ns/replication/sa/a%2fb",
            "spiffe://mesh/ns/replication/sa/a?b",
            "spiffe://mesh/ns/replication/other/a",
            "spiffe://mesh.example/ns/replication/sa/a",
        ] {
            assert!(!any.matches_uri(other), "{other}");
        }
        assert!(!any.matches_dns("spiffe://mesh/ns/replication/sa/reporter"));
    }

    #[test]
    fn names_without_a_star_are_exact() {
        let uri = pattern("spiffe://mesh/reporter");
        assert!(uri.matches_uri("spiffe://mesh/reporter"));
        assert!(!uri.matches_uri("spiffe://mesh/reporter/"));
        assert!(!uri.matches_uri("spiffe://mesh/Reporter"));
        let name = pattern("reporter.example");
        assert!(name.matches_dns("Reporter.Example"));
        assert!(!name.matches_dns("a.reporter.example"));
        assert!(!name.matches_uri("reporter.example"));
    }

    #[test]
    fn a_pattern_that_means_more_than_it_seems_is_refused() {
        for text in [
            "",
            "*",
            "*.example",
            "a.*",
            "spiffe://*",
            "spiffe://*/a",
            "spiffe://mesh/*/a",
            "spiffe://mesh/a*",
            "spiffe:///*",
            "spiffe:*",
            "urn:a:*",
            "a/b",
            ":a",
            "a b",
        ] {
            assert!(text.parse::<CallerPattern>().is_err(), "{text}");
        }
    }
}
