//! Classifies failures of TLS: an outage, a certificate that is not trusted, or a problem that
//! persists until somebody changes something.
//!
//! It uses its own messages, because those of rustls refer to rustls's code. An alert or a protocol
//! error that follows from what both sides support recurs at each attempt, so it is not an outage.
//! An error that a broken server or network can also cause is one: `internal_error`, a record that
//! cannot be decrypted, a connection that is reset.

use jiff::Timestamp;
use rustls::{AlertDescription as Alert, CertificateError, PeerMisbehaved, pki_types::UnixTime};

use super::{tls::Refused, unusable_certificate::Unusable};
use crate::{
    enterprise_manager::error::{CertificateFault, Error},
    runtime::readable::date,
};

/// What the gateway supports: the default of rustls with aws-lc-rs.
pub(crate) const SPEAKS: &str = "the gateway speaks TLS 1.3, and TLS 1.2 with ECDHE and AES-GCM or \
    ChaCha20-Poly1305, on X25519, P-256 or P-384, with certificates of RSA, or of ECDSA on P-256, P-384 \
    or P-521, and has no client certificate: allow that at the server, or in what stands before it";

/// How EM gets another certificate.
const OTHER_CERTIFICATE: &str = "a pin cannot help: Enterprise Manager's administrator has to make \
    another certificate. On Windows, in PowerShell: New-SelfSignedCertificate -DnsName NAME \
    -KeyAlgorithm RSA -KeyLength 3072 -HashAlgorithm SHA256 -CertStoreLocation Cert:\\LocalMachine\\My; \
    then bind it to the port with `netsh http delete sslcert` and `netsh http add sslcert`";

const NO_CLIENT_CERTIFICATE: &str = "the gateway has no client certificate, and Enterprise Manager \
    demands none: turn the demand off where it comes from, a proxy before Enterprise Manager or \
    `netsh http show sslcert` on its server, or correct the configured \
    address";

const OTHER_NAME: &str = "write a host in the configured address that the server knows, such as one \
    that its certificate is for";

const HTTP_1: &str =
    "let the server, or the proxy before Enterprise Manager, offer HTTP/1.1 in ALPN";

/// Classifies an error of TLS. `address` is for the operator's log.
pub(super) fn tls_error(error: &rustls::Error, address: &str) -> Error {
    use rustls::Error as Tls;
    let lost = |what: &str| Error::Disconnected { why: format!("{address}: {what}") };
    let failed =
        |what: &str, remedy| Error::TlsFailed { why: format!("{address}: {what}"), remedy };
    match error {
        Tls::InvalidCertificate(CertificateError::Other(other)) if other.0.is::<Unusable>() => {
            failed(&format!("TLS cannot use its certificate: {}", other.0), OTHER_CERTIFICATE)
        }
        Tls::InvalidCertificate(why) => {
            let (why, fault) = not_trusted(why);
            Error::UntrustedCertificate { why: format!("{address}: {why}"), fault }
        }
        Tls::NoCertificatesPresented => Error::UntrustedCertificate {
            why: format!("{address}: it presents none"),
            fault: CertificateFault::Other,
        },
        Tls::InvalidMessage(_) => Error::NotEnterpriseManager {
            what: format!("{address} does not speak TLS; plain HTTP on this port?"),
            passing: false,
        },
        Tls::AlertReceived(alert) => match refusal(*alert) {
            Some((what, remedy)) => failed(&format!("{what} (alert {})", u8::from(*alert)), remedy),
            None => lost(&format!("the server ends TLS (alert {})", u8::from(*alert))),
        },
        Tls::PeerIncompatible(_) => {
            failed("the server chooses a version or an option that the gateway lacks", SPEAKS)
        }
        Tls::PeerMisbehaved(
            PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme
            | PeerMisbehaved::SignedKxWithWrongAlgorithm,
        ) => failed(
            "the server signs the handshake in a way that the gateway does not accept, such as SHA-1",
            SPEAKS,
        ),
        Tls::PeerMisbehaved(_) => failed("the server breaks the rules of TLS", SPEAKS),
        Tls::DecryptError | Tls::PeerSentOversizedRecord => {
            lost("what arrives is not what was sent: it cannot be decrypted")
        }
        _ => lost("the TLS connection breaks off"),
    }
}

/// What this alert means, and what to change, if the server sends it at each attempt.
fn refusal(alert: Alert) -> Option<(&'static str, &'static str)> {
    Some(match alert {
        Alert::HandshakeFailure | Alert::InsufficientSecurity => (
            "the server finds no cipher suite, curve or signature that both sides support, or \
             demands a client certificate",
            SPEAKS,
        ),
        Alert::ProtocolVersion | Alert::InappropriateFallback => {
            ("the server offers neither TLS 1.2 nor 1.3", SPEAKS)
        }
        Alert::IllegalParameter
        | Alert::DecodeError
        | Alert::MissingExtension
        | Alert::UnsupportedExtension
        | Alert::ExportRestriction => {
            ("the server, or what stands before it, does not understand the handshake", SPEAKS)
        }
        Alert::UnrecognisedName => {
            ("the server does not know the host of the configured address", OTHER_NAME)
        }
        Alert::NoApplicationProtocol => ("the server does not offer HTTP/1.1", HTTP_1),
        Alert::CertificateRequired
        | Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => ("the server demands a client certificate", NO_CLIENT_CERTIFICATE),
        _ => return None,
    })
}

/// Why a certificate is not trusted, and what kind of fault that is.
fn not_trusted(why: &CertificateError) -> (String, CertificateFault) {
    use CertificateFault as Fault;
    let date = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_second(seconds).map_or_else(|_| "?".to_owned(), date)
    };
    match why {
        CertificateError::ExpiredContext { not_after, .. } => {
            (format!("it has expired on {}", date(not_after)), Fault::Expired)
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            (format!("it is not valid before {}", date(not_before)), Fault::NotValidYet)
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            // Each has the form `DnsName("em.example")`.
            let name = |name: &String| match name.split_once("(\"") {
                Some((_, name)) => name.trim_end_matches("\")").to_owned(),
                None => "an address".to_owned(),
            };
            let names: Vec<_> = presented.iter().map(name).collect();
            let names = match names.join(", ") {
                names if names.is_empty() => "none".to_owned(),
                names => names,
            };
            let expected = expected.to_str();
            (format!("it is not valid for name {expected}, but for {names}"), Fault::OtherName)
        }
        CertificateError::UnknownIssuer => {
            ("no trusted authority has issued it".to_owned(), Fault::UnknownIssuer)
        }
        CertificateError::Other(other) => match other.0.downcast_ref::<Refused>() {
            Some(refused @ Refused::NotPinned(_)) => (refused.to_string(), Fault::NotPinned),
            Some(refused @ Refused::WithoutKey) => (refused.to_string(), Fault::Other),
            None if other.to_string().contains("CaUsedAsEndEntity") => {
                ("it is marked as the certificate of an authority".to_owned(), Fault::Authority)
            }
            None => (BROKEN.to_owned(), Fault::Other),
        },
        CertificateError::Revoked => ("it is revoked".to_owned(), Fault::Other),
        // Most often an authority was made anew under its old name.
        CertificateError::BadSignature => {
            let what = "no trusted authority has issued it: the trusted one with the name of its issuer has \
                        another key";
            (what.to_owned(), Fault::UnknownIssuer)
        }
        CertificateError::InvalidPurposeContext { .. } => {
            ("its extended key usage does not allow it for servers".to_owned(), Fault::Other)
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            let what = "it, or an authority above it, is signed in a way that is not accepted, such as SHA-1";
            (what.to_owned(), Fault::Other)
        }
        _ => (BROKEN.to_owned(), Fault::Other),
    }
}

const BROKEN: &str = "it, or an authority above it, breaks a rule of X.509";
