//! Servers with which the gateway cannot speak TLS.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use replica_session_gateway::settings::Pin;
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::certificates::{Authority, issue};

/// Certificates that TLS cannot use, with words about what is wrong with them.
pub const UNUSABLE: [(&str, &str); 4] = [
    ("version-1.crt", "X.509 version 1"),
    ("rsa-1024.crt", "1024 bits"),
    ("secp256k1.crt", "the curve 1.3.132.0.10"),
    ("unknown-critical-extension.crt", "the critical extension 1.2.3.4.5"),
];

/// A `ServerHello` of TLS 1.1, as servers send it that know no later version.
pub const TLS_1_1: &[u8] = &[
    0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2, //
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    0, 0xc0, 0x14, 0,
];

/// A fatal alert.
pub fn alert(number: u8) -> Vec<u8> {
    vec![0x15, 3, 3, 0, 2, 2, number]
}

/// A server that presents this certificate of the fixtures, and the certificate's pin.
pub fn presenting(file: &str) -> (Arc<ServerConfig>, Pin) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certificates");
    let certificate = CertificateDer::from_pem_file(format!("{folder}/{file}")).unwrap();
    let pin = Pin::of(&certificate);
    (with_any_key(certificate), pin)
}

/// A server that presents somebody else's certificate, and that certificate's pin.
pub fn without_the_key(authority: &Authority) -> (Arc<ServerConfig>, Pin) {
    let issued = issue(authority, &["localhost"]);
    let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
    (with_any_key(certificate), issued.pin())
}

fn with_any_key(certificate: CertificateDer<'static>) -> Arc<ServerConfig> {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let pair = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let config = ServerConfig::builder().with_no_client_auth();
    Arc::new(config.with_cert_resolver(Arc::new(pair)))
}

/// A server that demands a client certificate, and the pin of its own.
pub fn demanding_a_client_certificate(
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
) -> (Arc<ServerConfig>, Pin) {
    let issued = issue(authority, &["localhost"]);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let config = ServerConfig::builder_with_protocol_versions(&[version])
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(issued.certified_key())));
    (Arc::new(config), issued.pin())
}

/// A server that answers each handshake with these bytes, or ends it if there are none; its URL,
/// and the number of its connections.
pub async fn answering(answer: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut hello = [0; 4096];
                drop(stream.read(&mut hello).await);
                drop(stream.write_all(answer).await);
                drop(stream.shutdown().await);
                // A connection with unread bytes would be reset.
                drop(stream.read_to_end(&mut Vec::new()).await);
            });
        }
    });
    (url, connections)
}
