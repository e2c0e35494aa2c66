//! The single steps of a connection: name, port, TLS. For `check`, which reports on each; for reads,
//! reqwest does them.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{
    ProtocolVersion,
    pki_types::{InvalidDnsNameError, ServerName},
};
use serde::Serialize;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use url::Url;

use super::{connection_error::handshake_error, tls};
use crate::{
    enterprise_manager::error::{Error, Setting, UnusableSetting},
    runtime::certificates::Expiry,
    settings::Trust,
};

/// A TLS handshake that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Handshake {
    /// The negotiated version, such as `TLS 1.3`.
    pub version: &'static str,
    /// Whether the server would speak HTTP/2.
    pub offers_http2: bool,
    /// When the certificate expires, in seconds since 1970.
    #[serde(skip)]
    pub expires: Option<i64>,
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum HandshakeError {
    /// A setting cannot be used.
    Setting(#[from] UnusableSetting),
    /// The server is not trusted, or speaks no TLS.
    Failed(#[from] Error),
}

/// The addresses of the host in this URL; at least one.
///
/// # Errors
///
/// Why there is none.
pub(crate) async fn resolve(url: &Url) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = lookup_host(address(url)).await?.collect();
    if addresses.is_empty() {
        return Err(io::Error::other("it has no address"));
    }
    Ok(addresses)
}

/// Does the TLS handshake on this connection, with the trust in the settings.
///
/// # Errors
///
/// The settings cannot be used, or the handshake failed.
pub(crate) async fn shake_hands(
    url: &Url,
    trust: &Trust,
    stream: TcpStream,
) -> Result<Handshake, HandshakeError> {
    let seen = Expiry::default();
    let (mut config, _) = tls::load(url, trust, &seen)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = server_name(url).map_err(|error| Setting::Url.unusable(error.to_string()))?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| handshake_error(&error, &address(url)))?;
    let (_, connection) = stream.get_ref();
    Ok(Handshake {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS 1.2",
        },
        offers_http2: connection.alpn_protocol() == Some(b"h2"),
        expires: seen.get(),
    })
}

/// The name that the certificate has to contain.
pub(crate) fn server_name(url: &Url) -> Result<ServerName<'static>, InvalidDnsNameError> {
    let host = url.host_str().unwrap_or_default();
    ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
}

/// Host and port of this URL, for the log.
pub(crate) fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{host}:{port}")
}
