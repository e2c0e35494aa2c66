//! Certificate authorities and the certificates that they issue.

use std::{fs, path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use replica_session_gateway::settings::{CallerPattern, CallerTls, Pin};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// A new authority.
pub fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, in PEM form.
#[derive(Clone)]
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Issued {
    /// The TLS settings of a simulator with this certificate.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let pair = SingleCertAndKey::from(self.certified_key());
        let config =
            ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(pair));
        Arc::new(config)
    }

    /// The certificate for a custom certificate resolver.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = aws_lc_rs::default_provider();
        Arc::new(CertifiedKey::from_der(vec![self.der()], key, &provider).unwrap())
    }

    /// The certificate's pin.
    pub fn pin(&self) -> Pin {
        Pin::of(&self.der())
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }

    /// The client certificate of a caller.
    pub fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }

    /// Writes the two files that [`caller_tls`] names into a folder.
    pub fn write(&self, folder: &Path) {
        fs::write(folder.join("tls.crt"), &self.certificate).unwrap();
        fs::write(folder.join("tls.key"), &self.key).unwrap();
    }
}

/// Issues a certificate for these names: IP addresses, URIs, or else DNS names.
pub fn issue(authority: &Issuer<'_, KeyPair>, names: &[&str]) -> Issued {
    issue_with(authority, names, |_| {})
}

/// Issues a certificate that expired long ago.
pub fn issue_expired(authority: &Issuer<'_, KeyPair>, names: &[&str]) -> Issued {
    issue_with(authority, names, |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    })
}

/// Issues a certificate with something changed.
pub fn issue_with(
    authority: &Issuer<'_, KeyPair>,
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> Issued {
    let (uris, others): (Vec<&str>, Vec<&str>) =
        names.iter().copied().partition(|name| name.contains("://"));
    let others: Vec<_> = others.into_iter().map(str::to_owned).collect();
    let mut params = CertificateParams::new(others).unwrap();
    let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
    params.subject_alt_names.extend(uris);
    params.not_after = date_time_ymd(2040, 1, 1);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    Issued {
        certificate: params.signed_by(&key, authority).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// The settings for TLS towards callers, with the files of a folder.
pub fn caller_tls(folder: &Path, client_ca: Option<&Authority>) -> CallerTls {
    CallerTls {
        cert_file: folder.join("tls.crt"),
        key_file: folder.join("tls.key"),
        client_ca_file: client_ca.map(|authority| {
            let path = folder.join("client-ca.crt");
            fs::write(&path, authority.pem()).unwrap();
            path
        }),
    }
}

/// The patterns of `--allow-caller`.
pub fn patterns(names: &[&str]) -> Vec<CallerPattern> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// TLS settings of a caller that trusts this authority.
pub fn trusting(authority: &Authority) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()))
}
