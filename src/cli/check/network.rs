//! The first steps, from the name of the host to an answer of Enterprise Manager.
//!
//! The gateway does all of this at once. As separate steps, each can say what is wrong.

use std::{io, net::SocketAddr, time::Duration};

use http::{HeaderMap, Method};
use jiff::Timestamp;
use tokio::{net::TcpStream, time::timeout};
use url::Url;

use super::{
    output::Success,
    problem::{Problem, REST_PORT, of_error, port_hint, tls_hint, untrusted},
    recognise::{Recognised, recognise},
};
use crate::{
    enterprise_manager::{
        EnterpriseManager, Error, Handshake, HandshakeError, SPEAKS, presented_certificate,
        resolve, shake_hands,
    },
    runtime::readable::{date, duration},
    settings::{EnterpriseManagerSettings, SettingError},
};

/// How long it may take to establish a connection, as in the gateway.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A certificate that expires within this many seconds causes a warning.
const EXPIRES_SOON: i64 = 14 * 24 * 3600;

/// The addresses of the host.
pub(super) async fn resolve_host(url: &Url) -> Result<Success<Vec<SocketAddr>>, Problem> {
    let host = url.host_str().unwrap_or_default();
    let addresses = resolve(url).await.map_err(|error| {
        Problem::unavailable(format!("{host} has no address: {error}"),
            "correct the host in --em-url, or this machine's DNS; inside a container use a full name",
        )
    })?;
    let texts: Vec<_> = addresses.iter().map(|at| at.ip().to_string()).collect();
    let text = format!("{host} is {}", texts.join(", "));
    Ok(Success::new(addresses, text))
}

/// A connection to the first of the addresses that accepts one.
pub(super) async fn connect_to_any(
    url: &Url,
    addresses: Vec<SocketAddr>,
) -> Result<Success<TcpStream>, Problem> {
    let mut failures = Vec::new();
    let mut was_refused = false;
    for address in addresses {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) if failures.is_empty() => {
                return Ok(Success::new(stream, address.to_string()));
            }
            Ok(Ok(stream)) => {
                let text = format!("{address}, but {}", failures.join("; "));
                let remedy = "new connections also try the addresses that fail: repair them, or remove them from DNS";
                return Ok(Success::new(stream, text).but(remedy));
            }
            Ok(Err(error)) => {
                was_refused |= error.kind() == io::ErrorKind::ConnectionRefused;
                failures.push(format!("{address}: {error}"));
            }
            Err(_) => failures
                .push(format!("{address}: no connection within {}", duration(CONNECT_TIMEOUT))),
        }
    }
    let what = if was_refused {
        "the machine answers, but nothing listens on this port: start Enterprise Manager's service, or correct the port in --em-url"
    } else {
        "check that the machine is up, and that no firewall blocks TCP connections to it"
    };
    let remedy = format!("{what}; {REST_PORT}{}", port_hint(url));
    Err(Problem::unavailable(failures.join("; "), remedy))
}

/// A TLS handshake with a server that the settings trust.
pub(super) async fn establish_tls(
    settings: &EnterpriseManagerSettings,
    stream: TcpStream,
) -> Result<Success<Handshake>, Problem> {
    let (url, trust) = (&settings.url, &settings.trust);
    let hint = port_hint(url);
    let handshake = match shake_hands(url, trust, stream).await {
        Ok(handshake) => handshake,
        Err(HandshakeError::Setting(error)) => return Err(SettingError::from(error).into()),
        Err(HandshakeError::Failed(Error::UntrustedCertificate { why, fault })) => {
            let presented = presented_certificate(url).await.ok();
            return Err(untrusted(&why, fault, presented.as_ref(), trust));
        }
        Err(HandshakeError::Failed(Error::NotEnterpriseManager { .. })) => {
            return Err(Problem::misconfigured(
                "this port does not speak TLS",
                format!(
                    "{REST_PORT}, with TLS{hint}. For plain HTTP in a trusted network, use http:// and --em-allow-plaintext"
                ),
            ));
        }
        Err(HandshakeError::Failed(Error::Disconnected { why })) => {
            return Err(Problem::unavailable(
                format!("the TLS handshake failed: {why}"),
                format!(
                    "check that its service runs, and for a firewall that cuts connections{hint}. Some servers also end the handshake without a word if they support nothing of this: \
                     {SPEAKS}"
                ),
            ));
        }
        Err(HandshakeError::Failed(error)) => return Err(of_error(&error, settings)),
    };
    let version = handshake.version;
    let expires = handshake.expires.map(Timestamp::from_second);
    let Some(Ok(expires)) = expires else {
        return Ok(Success::new(handshake, format!("{version}, trusted")));
    };
    let success =
        Success::new(handshake, format!("{version}, trusted, valid until {}", date(expires)));
    if expires.as_second() - Timestamp::now().as_second() < EXPIRES_SOON {
        return Ok(success.but(
            "renew Enterprise Manager's certificate; before that, add the new pin or authority to these settings",
        ));
    }
    Ok(success)
}

/// Checks that the server is Enterprise Manager.
pub(super) async fn recognise_server(
    enterprise_manager: &EnterpriseManager,
    settings: &EnterpriseManagerSettings,
) -> Result<Success<()>, Problem> {
    let url = &settings.url;
    let headers = HeaderMap::new();
    let answer = match enterprise_manager.ask(Method::GET, "api/", &headers).await {
        Ok(answer) => answer,
        // A TLS port resets a connection over plain HTTP, or answers with bytes of TLS.
        Err(_) if url.scheme() == "http" && presented_certificate(url).await.is_ok() => {
            return Err(Problem::misconfigured(
                "this port speaks TLS, not plain HTTP",
                format!("write https:// in --em-url{}", port_hint(url)),
            ));
        }
        Err(error) => {
            let problem = of_error(&error, settings);
            let may_be_tls =
                matches!(error, Error::ConnectionLost { .. } | Error::Disconnected { .. });
            let hint = if may_be_tls { tls_hint(url) } else { "" };
            return Err(Problem { remedy: problem.remedy + hint, ..problem });
        }
    };
    let versions = match recognise(&answer, url)? {
        Recognised::EnterpriseManager(versions) => versions,
        Recognised::Perhaps(status) => {
            let text =
                format!("answers like Enterprise Manager, but with status {status} at /api/");
            return Ok(Success::new((), text).but("the logon will show whether it is"));
        }
    };
    let success = Success::new(
        (),
        match versions.join(", ") {
            offered if offered.is_empty() => "Enterprise Manager".to_owned(),
            offered => format!("Enterprise Manager, with API {offered}"),
        },
    );
    let wanted = &settings.api_version;
    if wanted == "latest" || versions.is_empty() || versions.contains(wanted) {
        Ok(success)
    } else {
        Ok(success.but(format!(
            "it does not offer {wanted}: remove --em-api-version, or use one of the listed versions"
        )))
    }
}
