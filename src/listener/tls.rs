//! TLS towards clients: the gateway's certificate, and the verification of theirs.
//!
//! Certificates change while the gateway runs. The gateway presents its new certificate on new
//! connections. When the client CAs change, it also ends the connections whose clients were
//! verified with the old ones.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use secrecy::ExposeSecret as _;
use tokio::{net::TcpStream, sync::watch, time::Instant};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{client_identity::ClientIdentity, connection::NewConnection, connection_handle::Peer};
use crate::{
    operations::metrics::RefusedConnection,
    runtime::{
        certificates::{Expiry, roots, signing_key},
        file::FileContent,
        pem::certificates,
        reload::{FileError, Files, WatchedFiles},
    },
    settings::CallerTls,
};

/// A file for TLS towards clients. This module does not know which option names it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TlsFile {
    Certificate,
    Key,
    ClientCa,
}

/// Why such a file cannot be used.
pub(crate) type TlsFileError = FileError<TlsFile>;

/// Performs TLS handshakes. Clones share the certificates, which may change.
#[derive(Clone)]
pub(crate) struct Tls {
    current: watch::Receiver<TlsState>,
}

/// The configuration for new connections.
#[derive(Clone)]
struct TlsState {
    acceptor: TlsAcceptor,
    /// Cancelled when the client CAs have changed.
    outdated: CancellationToken,
}

/// A connection whose handshake has failed.
pub(super) struct FailedHandshake {
    error: io::Error,
    /// To be [closed](super::closing) with care: the peer may have sent its first call already, and must not
    /// lose the alert that says what is wrong.
    pub(super) stream: TcpStream,
}

impl Tls {
    /// Reads the certificate, its key and the client CAs. Also returns the files to watch for changes.
    pub(crate) fn load(
        settings: CallerTls,
        expiry: Expiry,
    ) -> Result<(Self, Vec<WatchedFiles<TlsFileError>>), TlsFileError> {
        let paths = [settings.cert_file.clone(), settings.key_file.clone()];
        let files =
            vec![(TlsFile::Certificate, settings.cert_file), (TlsFile::Key, settings.key_file)];
        let (pair_files, contents) = Files::read("listener_certificate", files)?;
        let pair = certified_key(&contents, &paths)?;
        expiry.note(&pair.cert[0]);
        let (ca_files, verifier) = match settings.client_ca_file {
            None => (None, WebPkiClientVerifier::no_client_auth()),
            Some(path) => {
                let (files, contents) =
                    Files::read("client_ca", vec![(TlsFile::ClientCa, path.clone())])?;
                let verifier = client_verifier(&contents, &path)?;
                (Some((files, path)), verifier)
            }
        };

        let parts = Parts { pair, verifier };
        let (sender, current) = watch::channel(TlsState {
            acceptor: parts.acceptor(),
            outdated: CancellationToken::new(),
        });
        let parts = Mutex::new(parts);
        let renewal = Arc::new(Renewal { parts, sender });
        let mut watched = Vec::new();
        if let Some((files, path)) = ca_files {
            let renewal = renewal.clone();
            watched.push(files.on_change(move |contents| {
                renewal.renew_verifier(client_verifier(contents, &path)?);
                Ok(())
            }));
        }
        watched.push(pair_files.on_change(move |contents| {
            let pair = certified_key(contents, &paths)?;
            expiry.note(&pair.cert[0]);
            renewal.renew_pair(pair);
            Ok(())
        }));
        Ok((Self { current }, watched))
    }

    /// Performs the handshake on a new connection. It has no timeout of its own.
    pub(super) async fn accept(
        self,
        stream: TcpStream,
        peer: Peer,
        preface_deadline: Instant,
    ) -> Result<NewConnection<Box<TlsStream<TcpStream>>>, FailedHandshake> {
        let TlsState { acceptor, outdated } = self.current.borrow().clone();
        let stream = acceptor
            .accept(stream)
            .into_fallible()
            .await
            .map_err(|(error, stream)| FailedHandshake { error, stream })?;
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let identity = certificate.map(ClientIdentity::of);
        Ok(NewConnection {
            // It is moved a few times, and takes more than a kilobyte.
            io: Box::new(stream),
            peer: Peer { identity, ..peer },
            outdated,
            preface_deadline,
        })
    }
}

impl FailedHandshake {
    /// Why the gateway refuses the connection. `None` if the peer has left by itself, as a probe does that
    /// only wants to know whether the port is open.
    pub(super) fn why(&self) -> Option<RefusedConnection> {
        Some(match self.cause()? {
            rustls::Error::InvalidCertificate(_) => RefusedConnection::Certificate,
            rustls::Error::NoCertificatesPresented => RefusedConnection::NoCertificate,
            _ => RefusedConnection::Tls,
        })
    }

    /// Logs why there is no connection. A problem with the client's certificate is logged at INFO, since
    /// only operators can solve it.
    pub(super) fn log(&self, address: SocketAddr) {
        let remedy = match self.why() {
            Some(RefusedConnection::Certificate) => {
                "tell the caller's owner to renew its certificate; if many callers are refused, \
                 check the client CA"
            }
            Some(RefusedConnection::NoCertificate) => {
                "give the caller a certificate of the client CA; if it is a health check, let it ask \
                 the admin listener for /readyz"
            }
            _ => {
                let error = &self.error;
                return tracing::debug!(%address, %error, "connection ended: no TLS handshake");
            }
        };
        let error = &self.error;
        tracing::info!(%address, %error, remedy, "connection refused: no valid client certificate");
    }

    fn cause(&self) -> Option<&rustls::Error> {
        self.error.get_ref().and_then(|error| error.downcast_ref())
    }
}

/// The parts of an acceptor.
struct Parts {
    pair: Arc<CertifiedKey>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Parts {
    /// TLS 1.2 and 1.3 with HTTP/2.
    fn acceptor(&self) -> TlsAcceptor {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has both versions")
            .with_client_cert_verifier(self.verifier.clone())
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(self.pair.clone())));
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session is not verified again: it would outlive its certificate and its CA.
        // Connections last for minutes, so resumption would gain little.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Changes the configuration for new connections.
struct Renewal {
    parts: Mutex<Parts>,
    sender: watch::Sender<TlsState>,
}

impl Renewal {
    fn renew_pair(&self, pair: Arc<CertifiedKey>) {
        let mut parts = self.parts.lock();
        parts.pair = pair;
        self.sender.send_modify(|current| current.acceptor = parts.acceptor());
    }

    /// Ends the connections whose clients were accepted by the previous verifier.
    fn renew_verifier(&self, verifier: Arc<dyn ClientCertVerifier>) {
        let mut parts = self.parts.lock();
        parts.verifier = verifier;
        let new = TlsState { acceptor: parts.acceptor(), outdated: CancellationToken::new() };
        self.sender.send_replace(new).outdated.cancel();
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificate chain and the key, from the two files with these paths.
fn certified_key(
    contents: &[FileContent],
    [cert_path, key_path]: &[PathBuf; 2],
) -> Result<Arc<CertifiedKey>, TlsFileError> {
    let wrong_cert = |why: String| FileError::new(TlsFile::Certificate, cert_path, why);
    let wrong_key = |why: String| FileError::new(TlsFile::Key, key_path, why);
    let [cert, key] = contents else {
        unreachable!("as many contents as paths");
    };
    let chain = certificates(cert.expose_secret()).map_err(wrong_cert)?;
    let key = signing_key(key.expose_secret()).map_err(wrong_key)?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) => Ok(Arc::new(pair)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(wrong_key(format!(
            "does not contain the key of the certificate in {}",
            cert_path.display()
        ))),
        Err(_) => Err(wrong_cert("begins with a certificate that is damaged".to_owned())),
    }
}

fn client_verifier(
    contents: &[FileContent],
    path: &Path,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFileError> {
    let pem = contents.first().expect("as many contents as paths");
    roots(pem.expose_secret())
        .and_then(|roots| {
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                .build()
                .map_err(|error| format!("cannot be used: {error}"))
        })
        .map_err(|why| FileError::new(TlsFile::ClientCa, path, why))
}
