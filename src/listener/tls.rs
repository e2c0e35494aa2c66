//! TLS towards callers: the gateway's certificate, and theirs.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::caller::Caller;
use crate::{
    certificates::{certificates, roots},
    settings::{
        CLIENT_CA_FILE, CallerPattern, CallerTls, SettingError, TLS_CERT_FILE, TLS_KEY_FILE,
    },
};

/// How connections of callers become TLS connections.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    allowed: Arc<[CallerPattern]>,
}

impl Tls {
    /// Reads the certificate, its key and the client CA.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub fn new(settings: &CallerTls) -> Result<Self, SettingError> {
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server_config(settings)?)),
            allowed: settings.allowed.clone().into(),
        })
    }

    /// The handshake on a new connection, and who is there if the caller has to say so. Takes as
    /// long as the peer likes.
    pub(super) async fn accept(
        self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Caller>)> {
        let stream = self.acceptor.accept(stream).await?;
        let (_, connection) = stream.get_ref();
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let caller = certificate.map(|certificate| Caller::of(certificate, &self.allowed));
        Ok((stream, caller))
    }
}

/// Logs why there was no handshake: at a level that operators see where it was for the certificate,
/// which only they can mend.
pub(super) fn log_refusal(error: &io::Error, address: SocketAddr) {
    use rustls::Error::{InvalidCertificate, NoCertificatesPresented};
    let cause = error.get_ref().and_then(|error| error.downcast_ref());
    if let Some(error @ (InvalidCertificate(_) | NoCertificatesPresented)) = cause {
        tracing::info!(%address, %error, "connection refused: no good client certificate");
    } else {
        tracing::debug!(%address, %error, "connection ended: no TLS handshake");
    }
}

/// TLS 1.2 and 1.3 with HTTP/2, and with client certificates if there is an authority for them.
fn server_config(settings: &CallerTls) -> Result<ServerConfig, SettingError> {
    let wrong = |problem| SettingError::new(TLS_CERT_FILE, problem);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = read(TLS_CERT_FILE, &settings.cert_file, certificates)?;
    let key = read(TLS_KEY_FILE, &settings.key_file, key)?;
    let verifier = match &settings.client_ca_file {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(path) => read(CLIENT_CA_FILE, path, verifier)?,
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    let mut config = builder
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => SettingError::new(
                TLS_KEY_FILE,
                format!(
                    "the key in {} is not that of the certificate in {}",
                    settings.key_file.display(),
                    settings.cert_file.display()
                ),
            ),
            error => wrong(format!(
                "{} cannot be used: {error}",
                settings.cert_file.display()
            )),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session is not verified again: it would outlive its certificate and its authority.
    // Connections last for minutes, so there would be little to gain.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn read<T>(
    option: &'static str,
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, SettingError> {
    let content = fs::read(path).map_err(|error| format!("cannot be read: {error}"));
    let parsed = content.and_then(|content| parse(&content));
    parsed.map_err(|why| SettingError::new(option, format!("{} {why}", path.display())))
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| "holds no private key in PEM form (PKCS #8, PKCS #1 or SEC1)".to_owned())
}

fn verifier(pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots(pem)?), provider)
        .build()
        .map_err(|error| format!("cannot be used: {error}"))
}
