//! TLS towards callers: the gateway's certificate, and theirs.

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
    pki_types::{PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{caller::Caller, connection::LAST_WORD};
use crate::{
    runtime::{
        certificates::{Expiry, certificates, roots},
        reload::{Content, Files, Watched},
    },
    settings::{
        CLIENT_CA_FILE, CallerPattern, CallerTls, SettingError, TLS_CERT_FILE, TLS_KEY_FILE,
    },
};

/// How connections of callers become TLS connections.
#[derive(Clone)]
pub struct Tls {
    current: watch::Receiver<Current>,
    allowed: Arc<[CallerPattern]>,
}

/// What new connections get.
#[derive(Clone)]
struct Current {
    acceptor: TlsAcceptor,
    /// Cancelled when other authorities vouch for callers.
    outdated: CancellationToken,
}

/// A connection after its handshake.
pub(super) struct Accepted {
    pub(super) stream: TlsStream<TcpStream>,
    /// Who is there, if callers have to say so.
    pub(super) caller: Option<Caller>,
    /// Cancelled when the caller would have to be verified anew.
    pub(super) outdated: CancellationToken,
}

impl Tls {
    /// Reads the certificate, its key and the client CA, and says what to watch.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub fn load(
        settings: CallerTls,
        expiry: Expiry,
    ) -> Result<(Self, Vec<Watched<SettingError>>), SettingError> {
        let paths = [settings.cert_file.clone(), settings.key_file.clone()];
        let files = vec![
            (TLS_CERT_FILE, settings.cert_file),
            (TLS_KEY_FILE, settings.key_file),
        ];
        let (pair_files, contents) = Files::read("listener_certificate", files)?;
        let pair = certified_key(&contents, &paths)?;
        expiry.note(&pair.cert[0]);
        let (ca_files, verifier) = match settings.client_ca_file {
            None => (None, WebPkiClientVerifier::no_client_auth()),
            Some(path) => {
                let (files, contents) =
                    Files::read("client_ca", vec![(CLIENT_CA_FILE, path.clone())])?;
                let verifier = client_verifier(&contents, &path)?;
                (Some((files, path)), verifier)
            }
        };

        let parts = Parts { pair, verifier };
        let (sender, current) = watch::channel(Current {
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
        let allowed = settings.allowed.into();
        Ok((Self { current, allowed }, watched))
    }

    /// The handshake on a new connection. Takes as long as the peer likes. When it fails, the bare
    /// connection comes back.
    pub(super) async fn accept(
        self,
        stream: TcpStream,
    ) -> Result<Accepted, (io::Error, TcpStream)> {
        let Current { acceptor, outdated } = self.current.borrow().clone();
        let stream = acceptor.accept(stream).into_fallible().await?;
        let (_, connection) = stream.get_ref();
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let caller = certificate.map(|certificate| Caller::of(certificate, &self.allowed));
        Ok(Accepted {
            stream,
            caller,
            outdated,
        })
    }
}

/// What connections are made with.
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
        // A resumed session is not verified again: it would outlive its certificate and its
        // authority. Connections last for minutes, so there would be little to gain.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Changes what new connections get.
struct Renewal {
    parts: Mutex<Parts>,
    sender: watch::Sender<Current>,
}

impl Renewal {
    fn renew_pair(&self, pair: Arc<CertifiedKey>) {
        let mut parts = self.parts.lock();
        parts.pair = pair;
        self.sender
            .send_modify(|current| current.acceptor = parts.acceptor());
    }

    /// Connections that the last one has let in have to come again.
    fn renew_verifier(&self, verifier: Arc<dyn ClientCertVerifier>) {
        let mut parts = self.parts.lock();
        parts.verifier = verifier;
        let new = Current {
            acceptor: parts.acceptor(),
            outdated: CancellationToken::new(),
        };
        self.sender.send_replace(new).outdated.cancel();
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificate chain and the key, from the two files with these paths.
fn certified_key(
    contents: &[Content],
    [cert_path, key_path]: &[PathBuf; 2],
) -> Result<Arc<CertifiedKey>, SettingError> {
    let wrong_cert =
        |why: String| SettingError::new(TLS_CERT_FILE, format!("{} {why}", cert_path.display()));
    let wrong_key =
        |why: &str| SettingError::new(TLS_KEY_FILE, format!("{} {why}", key_path.display()));
    let [cert, key] = contents else {
        unreachable!("as many contents as paths");
    };
    let chain = certificates(cert.expose_secret()).map_err(wrong_cert)?;
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret())
        .map_err(|_| wrong_key("holds no private key in PEM form (PKCS #8, PKCS #1 or SEC1)"))?;
    let key = provider().key_provider.load_private_key(key);
    let key = key.map_err(|_| wrong_key("holds a private key of a kind that cannot be used"))?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) => Ok(Arc::new(pair)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(wrong_key(&format!(
            "holds another key than that of the certificate in {}",
            cert_path.display()
        ))),
        Err(error) => Err(wrong_cert(format!("cannot be used: {error}"))),
    }
}

fn client_verifier(
    contents: &[Content],
    path: &Path,
) -> Result<Arc<dyn ClientCertVerifier>, SettingError> {
    let pem = contents.first().expect("as many contents as paths");
    let roots = roots(pem.expose_secret());
    let verifier = roots.and_then(|roots| {
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| format!("cannot be used: {error}"))
    });
    verifier.map_err(|why| SettingError::new(CLIENT_CA_FILE, format!("{} {why}", path.display())))
}

/// Takes leave of a peer whose handshake has failed. Logs why: at a level that operators see where
/// it was for the certificate, which only they can mend.
pub(super) async fn refuse((error, stream): (io::Error, TcpStream), address: SocketAddr) {
    use rustls::Error::{InvalidCertificate, NoCertificatesPresented};
    let cause = error.get_ref().and_then(|error| error.downcast_ref());
    if let Some(error @ (InvalidCertificate(_) | NoCertificatesPresented)) = cause {
        let remedy = "the caller's owner renews its certificate; if many are refused, look at \
                      --client-ca-file";
        tracing::info!(%address, %error, remedy, "connection refused: no good client certificate");
    } else {
        tracing::debug!(%address, %error, "connection ended: no TLS handshake");
    }
    // The peer may have sent its first call already. To close over unread bytes would reset the
    // connection, and the alert that says what is wrong could be lost.
    drop(timeout(LAST_WORD, read_out(stream)).await);
}

async fn read_out(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}
