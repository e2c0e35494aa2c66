//! One HTTP exchange with Enterprise Manager: a request out, a bounded answer back.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use reqwest::{
    Client, Method, StatusCode,
    header::{
        ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    },
    redirect,
};
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    circuit::Circuit,
    error::{BadResponse, Error, excerpt},
    tls::client_config,
};
use crate::settings::EnterpriseManagerSettings;

/// The header that carries the token, in both directions.
pub(super) const SESSION_HEADER: HeaderName = HeaderName::from_static("x-restsvcsessionid");

/// Largest body accepted, in bytes. EM's entities are 1.5 to 3 kB.
pub(super) const MAX_BODY: usize = 1024 * 1024;

/// How long a connection, with its TLS handshake, may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an unused connection is kept: well below the 120 s after which HTTP.sys closes it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The HTTP side of one Enterprise Manager: its address and a pool of connections.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client,
    /// Shared by all pools, and with it the TLS sessions to be resumed.
    tls: ClientConfig,
    /// The address with its path prefix and a slash at the end.
    base: Url,
    circuit: Arc<Circuit>,
}

/// What proves to EM who is asking.
#[derive(Clone, Copy)]
pub(super) enum Credential<'c> {
    /// User name and password, for a logon.
    Basic(&'c str, &'c SecretString),
    /// The token of a logon session, for everything else.
    Token(&'c HeaderValue),
}

/// EM's answer, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Http {
    /// Prepares the client; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// When the platform's certificates, or those of the CA file, cannot be used.
    pub(super) fn new(settings: &EnterpriseManagerSettings) -> Result<Self, Error> {
        let ca_certificates = settings.ca_certificates.as_deref();
        let tls =
            client_config(ca_certificates).map_err(|why| Error::UntrustedCertificate { why })?;
        let mut base = settings.url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self {
            client: client(tls.clone())?,
            tls,
            base,
            circuit: Arc::new(Circuit::new()),
        })
    }

    /// The same address and circuit, with a pool of its own.
    pub(super) fn with_own_connections(&self) -> Result<Self, Error> {
        Ok(Self {
            client: client(self.tls.clone())?,
            ..self.clone()
        })
    }

    /// Sends one request without a body and reads the answer. `path` is relative to the address
    /// and its prefix.
    ///
    /// # Errors
    ///
    /// When there is no complete answer, or it is larger than [`MAX_BODY`]. Any status is an
    /// answer.
    pub(super) async fn exchange(
        &self,
        method: Method,
        path: &str,
        credential: Credential<'_>,
    ) -> Result<Reply, Error> {
        self.circuit.check()?;
        let reply = self.send(method, path, credential).await;
        self.circuit.record(&reply);
        reply
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        credential: Credential<'_>,
    ) -> Result<Reply, Error> {
        let must_say_length = method == Method::POST;
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if must_say_length {
            // HTTP.sys answers 411 to a POST that does not say that it has no body.
            request = request.header(CONTENT_LENGTH, "0");
        }
        let request = match credential {
            Credential::Basic(user, password) => {
                request.basic_auth(user, Some(password.expose_secret()))
            }
            Credential::Token(token) => request.header(SESSION_HEADER, token),
        };
        let mut response = request.send().await.map_err(connection_error)?;

        let too_large = BadResponse::TooLarge { limit: MAX_BODY };
        let announced = response.content_length().unwrap_or(0);
        if announced > MAX_BODY as u64 {
            return Err(too_large.into());
        }
        let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(chunk) = response.chunk().await.map_err(connection_error)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large.into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }
}

fn client(tls: ClientConfig) -> Result<Client, Error> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .default_headers(HeaderMap::from_iter([(
            ACCEPT,
            // Exactly this: any mention of JSON makes EM answer in JSON.
            HeaderValue::from_static("application/xml"),
        )]))
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        // EM never redirects, and reqwest would take the token to another host.
        .redirect(redirect::Policy::none())
        .no_proxy()
        // Without back-off; the gateway has a policy of its own.
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_only()
        .tcp_nodelay(true)
        .build()
        .map_err(|error| Error::UntrustedCertificate {
            why: causes(&error),
        })
}

impl Reply {
    /// The media type in lower case without parameters; empty when there is none.
    pub(super) fn media_type(&self) -> String {
        let value = self.content_type();
        let end = value.find(';').unwrap_or(value.len());
        value[..end].trim().to_ascii_lowercase()
    }

    /// The charset parameter of the media type.
    pub(super) fn charset(&self) -> Option<&str> {
        self.content_type()
            .split(';')
            .skip(1)
            .find_map(|parameter| {
                let (name, value) = parameter.split_once('=')?;
                name.trim()
                    .eq_ignore_ascii_case("charset")
                    .then(|| value.trim().trim_matches('"'))
            })
    }

    /// How long the answer asks to wait, when it says so in seconds.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        Some(Duration::from_secs(seconds.trim().parse().ok()?))
    }

    fn content_type(&self) -> &str {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// What it means that no complete answer came.
fn connection_error(error: reqwest::Error) -> Error {
    // The address is in the settings; its path holds nothing but the id.
    let error = error.without_url();
    if let Some(error) = cause::<rustls::Error>(&error) {
        return match error {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                Error::UntrustedCertificate {
                    why: error.to_string(),
                }
            }
            rustls::Error::InvalidMessage(_) => Error::NotEnterpriseManager {
                what: format!("it does not speak TLS ({error}); plain HTTP on this port?"),
                passing: false,
            },
            error => Error::Unavailable {
                why: error.to_string(),
                retry_after: None,
            },
        };
    }
    if cause::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse) {
        return Error::NotEnterpriseManager {
            what: "it does not speak HTTP; TLS on this port?".to_owned(),
            passing: false,
        };
    }
    let why = causes(&error);
    if error.is_connect() {
        return Error::Unreachable { why };
    }
    Error::Unavailable {
        why,
        retry_after: None,
    }
}

/// The first cause of the wanted type. An `io::Error` that wraps another error names as its
/// source the source of that one, so what it wraps has to be looked at as well.
fn cause<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let io = error.downcast_ref::<std::io::Error>();
        next = match io.and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// An error with its causes, outermost first: reqwest's own text alone says next to nothing.
fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    excerpt(&text)
}
