//! Who calls: the name in the certificate of the connection, or in the header of a trusted proxy.
//!
//! Behind a proxy, the connection is the proxy's. If the operator says so (`--caller-identity`), the
//! proxy's header names the caller: the last element of `x-forwarded-client-cert`, which the proxy itself
//! has added, or Linkerd's `l5d-client-id`. A header counts only from a proxy in `--trusted-proxies`. Its
//! own certificate then names no caller, not even when the header is missing: everybody behind the proxy
//! could take its name by sending a header that it drops. Other peers are known by their certificates.
//!
//! If it is not known who calls, `--allow-caller` refuses the call; without that setting the call is
//! served, and shares what its connection may use.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::xfcc::{ClientNames, Unreadable, last_client};
use crate::{
    listener::Peer,
    operations::metrics::CallerHeaders,
    settings::{CallerPattern, CallerSettings, IdentitySource, TrustedProxy},
};

const XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const LINKERD: HeaderName = HeaderName::from_static("l5d-client-id");

/// Maximum length of the names kept for log, spans and shares, in bytes. SPIFFE ids may have 2 kB, but
/// rarely exceed this.
const LONGEST_NAME: usize = 512;

/// Finds out who calls, and who of them may.
pub(super) struct Callers {
    settings: CallerSettings,
    headers: CallerHeaders,
}

/// What a connection says about its callers.
#[derive(Debug)]
pub(super) enum PeerRole {
    /// It is a caller itself.
    Caller(Caller),
    /// It is a proxy that names its caller with each call.
    Proxy,
}

/// Who calls.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// By these names, URIs first.
    Known {
        names: Arc<str>,
        is_allowed: bool,
    },
    Unknown {
        why: Unidentified,
        is_allowed: bool,
    },
}

/// Why it is not known who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unidentified {
    NoCertificate,
    NoNameInCertificate,
    /// A trusted proxy has sent no header.
    NoHeader,
    Unreadable(Unreadable),
}

impl Callers {
    /// Identifies callers according to `settings`, and counts what becomes of headers.
    pub(super) fn new(settings: CallerSettings, headers: CallerHeaders) -> Self {
        Self { settings, headers }
    }

    /// The role of a peer that has opened a connection.
    pub(super) fn role(&self, peer: &Peer) -> PeerRole {
        let CallerSettings { source, trusted_proxies, .. } = &self.settings;
        let is_trusted = || trusted_proxies.iter().any(|proxy| is_proxy(proxy, peer));
        if *source != IdentitySource::Certificate && is_trusted() {
            return PeerRole::Proxy;
        }
        PeerRole::Caller(match &peer.identity {
            None => self.unknown(Unidentified::NoCertificate),
            Some(certificate) => {
                let names =
                    ClientNames { uris: certificate.uris.clone(), dns: certificate.dns.clone() };
                self.named(&names)
            }
        })
    }

    /// Who makes a call with these headers on a connection of a peer in this role.
    pub(super) fn caller(&self, role: &PeerRole, headers: &HeaderMap) -> Caller {
        let (header, parse): (_, fn(&HeaderMap) -> _) = match self.settings.source {
            IdentitySource::Certificate => (None, |_| Err("")),
            IdentitySource::Xfcc => (Some(XFCC), xfcc),
            IdentitySource::L5dClientId => (Some(LINKERD), linkerd),
        };
        let is_present = header.is_some_and(|header| headers.contains_key(header));
        match role {
            PeerRole::Caller(caller) => {
                if is_present {
                    self.headers.untrusted.inc();
                }
                caller.clone()
            }
            PeerRole::Proxy if !is_present => {
                self.headers.missing.inc();
                self.unknown(Unidentified::NoHeader)
            }
            PeerRole::Proxy => match parse(headers) {
                Ok(names) => {
                    self.headers.used.inc();
                    self.named(&names)
                }
                Err(problem) => {
                    self.headers.unreadable.inc();
                    self.unknown(Unidentified::Unreadable(problem))
                }
            },
        }
    }

    fn named(&self, names: &ClientNames) -> Caller {
        let ClientNames { uris, dns } = names;
        let all = [&uris[..], &dns[..]].concat();
        if all.is_empty() {
            return self.unknown(Unidentified::NoNameInCertificate);
        }
        let mut names = all.join(" ");
        let end = (0..=LONGEST_NAME).rev().find(|end| names.is_char_boundary(*end));
        names.truncate(end.unwrap_or(0));
        let is_match = |pattern: &CallerPattern| matches_any(pattern, uris, dns);
        let allowed = &self.settings.allowed;
        let is_allowed = allowed.is_empty() || allowed.iter().any(is_match);
        Caller::Known { names: names.into(), is_allowed }
    }

    fn unknown(&self, why: Unidentified) -> Caller {
        Caller::Unknown { why, is_allowed: self.settings.allowed.is_empty() }
    }
}

fn is_proxy(proxy: &TrustedProxy, peer: &Peer) -> bool {
    match proxy {
        TrustedProxy::Loopback => peer.is_local,
        TrustedProxy::Network(network) => network.contains(&peer.address.ip()),
        TrustedProxy::Certificate(pattern) => {
            let identity = peer.identity.as_ref();
            identity.is_some_and(|names| matches_any(pattern, &names.uris, &names.dns))
        }
    }
}

fn matches_any(pattern: &CallerPattern, uris: &[String], dns: &[String]) -> bool {
    uris.iter().any(|uri| pattern.matches_uri(uri))
        || dns.iter().any(|name| pattern.matches_dns(name))
}

fn xfcc(headers: &HeaderMap) -> Result<ClientNames, Unreadable> {
    last_client(headers.get_all(XFCC).iter().map(HeaderValue::as_bytes))
}

/// Linkerd sends one name: a DNS name, or a SPIFFE id.
fn linkerd(headers: &HeaderMap) -> Result<ClientNames, Unreadable> {
    let mut lines = headers.get_all(LINKERD).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err("is there twice");
    };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(byte);
    let name =
        str::from_utf8(line.as_bytes()).ok().filter(|name| name.bytes().all(|b| is_plain(&b)));
    let Some(name) = name.filter(|name| (1..=LONGEST_NAME).contains(&name.len())) else {
        return Err("is not one name");
    };
    let names = vec![name.to_owned()];
    Ok(if name.contains("://") {
        ClientNames { uris: names, dns: Vec::new() }
    } else {
        ClientNames { uris: Vec::new(), dns: names }
    })
}

impl Caller {
    /// The names, if they are known.
    pub(super) fn names(&self) -> Option<&Arc<str>> {
        match self {
            Self::Known { names, .. } => Some(names),
            Self::Unknown { .. } => None,
        }
    }

    /// Why its calls are refused, for the log; `None` if they are not.
    pub(super) fn refusal(&self) -> Option<String> {
        match self {
            Self::Known { is_allowed: true, .. } | Self::Unknown { is_allowed: true, .. } => None,
            Self::Known { .. } => Some("--allow-caller does not list its caller".to_owned()),
            Self::Unknown { why, .. } => Some(format!("its caller is unknown: {why}")),
        }
    }
}

impl fmt::Display for Unidentified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str(
                "the connection has no certificate, and is not from a proxy whose header counts",
            ),
            Self::NoNameInCertificate => {
                f.write_str("the certificate has neither a URI nor a DNS name")
            }
            Self::NoHeader => f.write_str("the proxy sends no header that names it"),
            Self::Unreadable(problem) => write!(f, "the proxy's header {problem}"),
        }
    }
}
