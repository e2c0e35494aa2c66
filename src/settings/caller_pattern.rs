//! Patterns for the names in callers' certificates, of `--allow-caller`.

use std::{fmt, str::FromStr};

use crate::runtime::text::quoted;

/// A URI or DNS name that a caller's certificate must carry among its alternative names. A URI may
/// end in `/*`, which stands for one path segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerPattern {
    /// This DNS name, in any letter case.
    Dns(String),
    /// This URI, letter for letter.
    Uri(String),
    /// Any URI that consists of this one, which ends with a slash, and one more segment.
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

/// One plain path segment, without escapes: a program that decodes them would see another path.
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
            return Err(format!("{} has a * that is not its last path segment", quoted(text)));
        }
        if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{} contains blanks or characters outside ASCII", quoted(text)));
        }
        let Some((scheme, rest)) = name.split_once(':') else {
            return match folder {
                Some(_) => Err(format!(
                    "{} is a DNS name, which may not contain a *; only a URI may end with one",
                    quoted(text)
                )),
                None if name.is_empty() || name.contains('/') => {
                    Err(format!("{} is neither a URI nor a DNS name", quoted(text)))
                }
                None => Ok(Self::Dns(name.to_owned())),
            };
        };
        if scheme.is_empty() || rest.is_empty() {
            return Err(format!("{} is neither a URI nor a DNS name", quoted(text)));
        }
        if folder.is_none() {
            return Ok(Self::Uri(name.to_owned()));
        }
        // `spiffe://*` would match any trust domain, and not a path segment.
        let path = rest.strip_prefix("//").and_then(|rest| rest.find('/'));
        if path.is_some_and(|at| at > 0) && rest.ends_with('/') {
            return Ok(Self::UriFolder(name.to_owned()));
        }
        Err(format!("{} has a * that is not its last path segment", quoted(text)))
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

    #[test]
    fn a_star_stands_for_one_plain_segment_and_other_names_are_exact() {
        let any = "spiffe://mesh/ns/replication/sa/*";
        for (pattern, name, is_match) in [
            (any, "spiffe://mesh/ns/replication/sa/reporter", true),
            (any, "spiffe://mesh/ns/replication/sa/", false),
            (any, "spiffe://mesh/ns/replication/sa", false),
            (any, "spiffe://mesh/ns/replication/sa/a/b", false),
            (any, "spiffe://mesh/ns/replication/sa/..", false),
            (any, "spiffe://mesh/ns/replication/sa/a%2fb", false),
            (any, "spiffe://mesh/ns/replication/sa/a?b", false),
            (any, "spiffe://mesh/ns/replication/other/a", false),
            (any, "spiffe://mesh.example/ns/replication/sa/a", false),
            ("spiffe://mesh/reporter", "spiffe://mesh/reporter", true),
            ("spiffe://mesh/reporter", "spiffe://mesh/reporter/", false),
            ("spiffe://mesh/reporter", "spiffe://mesh/Reporter", false),
            ("reporter.example", "reporter.example", false),
        ] {
            let pattern: CallerPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches_uri(name), is_match, "{pattern} {name}");
        }
        let name: CallerPattern = "reporter.example".parse().unwrap();
        assert!(name.matches_dns("Reporter.Example") && !name.matches_dns("a.reporter.example"));
    }

    #[test]
    fn a_pattern_that_means_more_than_it_seems_is_refused() {
        let patterns = "*|*.example|a.*|spiffe://*|spiffe://*/a|spiffe://mesh/*/a|spiffe://mesh/a*|\
                        spiffe:///*|spiffe:*|urn:a:*|a/b|:a|a b|";
        for text in patterns.split('|') {
            assert!(text.parse::<CallerPattern>().is_err(), "{text}");
        }
    }
}
