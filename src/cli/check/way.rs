//! The way to Enterprise Manager: its name, its port, its certificate, and whether it is the one.

use std::{io, net::SocketAddr, time::Duration};

use http::{HeaderMap, Method};
use jiff::Timestamp;
use tokio::{net::TcpStream, time::timeout};
use url::Url;

use super::{
    mix_ups::{Found, recognise},
    outcome::{Good, Outcome, good, odd},
    trouble::{REST_PORT, Trouble, of_error, port_hint, untrusted},
};
use crate::{
    cli::ExitCode,
    enterprise_manager::{
        EnterpriseManager, Error, HandshakeError, connect, presented_certificate, resolve,
        shake_hands,
    },
    settings::{EnterpriseManagerSettings, SettingError},
};

/// How long a connection may take to come about, as for the gateway.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A certificate that expires within this time, in seconds, is worth a word.
const SOON: i64 = 14 * 24 * 3600;

/// Whether the host has an address.
pub(super) async fn resolved(url: &Url) -> Outcome<Vec<SocketAddr>> {
    let host = url.host_str().unwrap_or_default();
    match resolve(url).await {
        Ok(addresses) => {
            let told: Vec<_> = addresses.iter().map(|at| at.ip().to_string()).collect();
            let told = format!("{host} is {}", told.join(", "));
            good(addresses, told)
        }
        Err(error) => Err(Trouble::new(
            ExitCode::UNAVAILABLE,
            format!("{host} has no address: {error}"),
            "correct the host in --em-url, or this machine's DNS; inside a container use a full name",
        )),
    }
}

/// Whether one of the addresses takes a connection; tried in turn.
pub(super) async fn connected(url: &Url, addresses: Vec<SocketAddr>) -> Outcome<TcpStream> {
    let mut failed = Vec::new();
    let mut was_refused = false;
    for address in addresses {
        let stream = timeout(CONNECT_TIMEOUT, connect(address)).await;
        match stream {
            Ok(Ok(stream)) if failed.is_empty() => return good(stream, address.to_string()),
            Ok(Ok(stream)) => {
                return Ok(Good {
                    value: stream,
                    told: format!("{address}, but {}", failed.join("; ")),
                    remedy: Some(
                        "connections lose time with the others: mend them, or take them out of DNS"
                            .to_owned(),
                    ),
                });
            }
            Ok(Err(error)) => {
                was_refused |= error.kind() == io::ErrorKind::ConnectionRefused;
                failed.push(format!("{address}: {error}"));
            }
            Err(_) => failed.push(format!(
                "{address}: no connection within {CONNECT_TIMEOUT:?}"
            )),
        }
    }
    let what = if was_refused {
        "the machine is there and nothing listens: start Enterprise Manager's service, or correct the port in --em-url"
    } else {
        "let a firewall pass TCP from here to there, or look whether the machine is up"
    };
    let remedy = format!("{what}; {REST_PORT}{}", port_hint(url));
    Err(Trouble::new(
        ExitCode::UNAVAILABLE,
        failed.join("; "),
        remedy,
    ))
}

/// Whether the certificate is trusted.
pub(super) async fn encrypted(
    settings: &EnterpriseManagerSettings,
    stream: TcpStream,
) -> Outcome<()> {
    let (url, trust) = (&settings.url, &settings.trust);
    let handshake = match shake_hands(url, trust, stream).await {
        Ok(handshake) => handshake,
        Err(HandshakeError::Setting(error)) => return Err(SettingError::from(error).into()),
        Err(HandshakeError::Failed(Error::UntrustedCertificate { why })) => {
            let presented = presented_certificate(url).await.ok();
            return Err(untrusted(&why, presented.as_ref(), trust));
        }
        Err(HandshakeError::Failed(Error::NotEnterpriseManager { .. })) => {
            let hint = port_hint(url);
            return Err(Trouble::new(
                ExitCode::CONFIGURATION,
                "this port does not speak TLS",
                format!(
                    "{REST_PORT}, with TLS{hint}. For plain HTTP in a trusted network: http:// and --em-allow-plaintext"
                ),
            ));
        }
        Err(HandshakeError::Failed(error)) => {
            let why = match &error {
                Error::Disconnected { why } => why.as_str(),
                _ => "the handshake fails",
            };
            return Err(Trouble::new(
                ExitCode::CONFIGURATION,
                format!("no TLS handshake: {why}"),
                format!(
                    "the server has to offer TLS 1.2 or 1.3; look also for a firewall that breaks connections off{}",
                    port_hint(url)
                ),
            ));
        }
    };
    let expires = handshake
        .expires
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    let Some(expires) = expires else {
        return good((), format!("{}, trusted", handshake.version));
    };
    let told = format!("{}, trusted, valid until {expires}", handshake.version);
    if expires.as_second() - Timestamp::now().as_second() < SOON {
        return odd(
            told,
            "renew Enterprise Manager's certificate; add the new pin or authority here before that",
        );
    }
    good((), told)
}

/// Whether what answers is Enterprise Manager.
pub(super) async fn recognised(
    enterprise_manager: &EnterpriseManager,
    settings: &EnterpriseManagerSettings,
) -> Outcome<()> {
    let url = &settings.url;
    let none = HeaderMap::new();
    let answer = enterprise_manager.ask(Method::GET, "api/", &none);
    let answer = match answer.await {
        Ok(answer) => answer,
        Err(error) => {
            // Over plain HTTP a TLS port resets the connection, or answers with bytes of TLS.
            if url.scheme() == "http" && presented_certificate(url).await.is_ok() {
                return Err(Trouble::new(
                    ExitCode::CONFIGURATION,
                    "this port speaks TLS, not plain HTTP",
                    format!("write https:// in --em-url{}", port_hint(url)),
                ));
            }
            return Err(of_error(&error, settings));
        }
    };
    let versions = match recognise(&answer, url) {
        Found::EnterpriseManager(versions) => versions,
        Found::Perhaps(told) => return odd(told, "the logon tells"),
        Found::Not(trouble) => return Err(trouble),
    };
    let told = match versions.join(", ") {
        offered if offered.is_empty() => "Enterprise Manager".to_owned(),
        offered => format!("Enterprise Manager, with API {offered}"),
    };
    let wanted = &settings.api_version;
    if wanted == "latest" || versions.is_empty() || versions.contains(wanted) {
        good((), told)
    } else {
        odd(
            told,
            &format!(
                "it does not offer {wanted}: leave out --em-api-version, or give one of these"
            ),
        )
    }
}
