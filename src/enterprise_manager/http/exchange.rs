//! One HTTP exchange with Enterprise Manager.
//!
//! All requests go through here, logons too, so that none escapes circuit breaker, stall detector,
//! metrics and traces, and no body is read without a limit.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use reqwest::{
    Method, Request, RequestBuilder, Response, StatusCode,
    header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::{Position, Url};

use super::{
    client::ConnectionPool,
    connect::address,
    connection_error::{body_error, head_error},
    response::EmResponse,
    tls,
};
use crate::{
    enterprise_manager::{
        error::{BadResponse, Error, Setting, UnusableSetting},
        guard::{CircuitBreaker, RequestKind, StallDetector},
    },
    operations::{
        metrics::{RequestOutcome, UpstreamMetrics},
        traces::{OutgoingRequest, TraceContext, Traces},
    },
    runtime::{certificates::Expiry, reload::WatchedFiles},
    settings::EnterpriseManagerSettings,
};

/// The header that carries the token, in both directions.
pub(crate) const SESSION_HEADER: HeaderName = HeaderName::from_static("x-restsvcsessionid");

/// The largest buffer that is allocated before all of the body has arrived: more than a session or a
/// short list needs. For a longer body, the buffer grows with the data that arrives.
const FIRST_BUFFER: usize = 128 * 1024;

/// The HTTP client of one Enterprise Manager: address, connections and guards.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    pool: ConnectionPool,
    /// The address with its path prefix and a slash at the end.
    base: Url,
    /// Its host, and its port unless that is the usual one. Otherwise, each request would format it anew.
    host: HeaderValue,
    /// Host and port, for the log.
    address: String,
    circuit: Arc<CircuitBreaker>,
    stalls: Arc<StallDetector>,
    metrics: Arc<UpstreamMetrics>,
    traces: Traces,
}

/// A request without a body, to be sent once.
pub(crate) struct Exchange<'e> {
    pub(crate) method: Method,
    /// Relative to EM's address and its prefix, without a slash in front.
    pub(crate) path: &'e str,
    pub(crate) credential: Credential<'e>,
    pub(crate) kind: RequestKind,
    pub(crate) connection: Connection,
    /// The trace that the request belongs to.
    pub(crate) trace: &'e TraceContext,
    /// How many times the same request has been sent before.
    pub(crate) resend: u32,
}

/// Which connection a request is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// One that is kept open from an earlier request, if there is one. The other side may be closing
    /// it at this moment; then the request is lost.
    Any,
    /// Its own, which is closed afterwards.
    New,
}

/// What a request authenticates with.
#[derive(Clone, Copy)]
pub(crate) enum Credential<'c> {
    /// User name and password, for a logon.
    Basic(&'c str, &'c SecretString),
    /// The token of a logon session, for everything else.
    Token(&'c HeaderValue),
    /// Whatever these headers contain, for `check`.
    Headers(&'c HeaderMap),
}

impl Http {
    /// Reads the files with the trusted certificates, and connects to nothing yet. Also returns the
    /// files to watch; when they change, new connections replace the old ones. `seen` records when
    /// EM's certificate expires.
    ///
    /// # Errors
    ///
    /// Which setting cannot be used, and why.
    pub(crate) fn load(
        settings: &EnterpriseManagerSettings,
        seen: Expiry,
        metrics: Arc<UpstreamMetrics>,
        traces: Traces,
    ) -> Result<(Self, Option<WatchedFiles<UnusableSetting>>), UnusableSetting> {
        let unusable = |why| Setting::Url.unusable(format!("cannot be connected to: {why}"));
        let trust = settings.trust.clone();
        let (config, files) = tls::load(&settings.url, &trust, &seen)?;
        let pool = ConnectionPool::new(config).map_err(unusable)?;
        let pools = pool.clone();
        let watched = files.map(|files| {
            files.on_change(move |contents| {
                let config = tls::client_config(&trust, contents, &seen)?;
                pools.replace_all(config).map_err(unusable)
            })
        });
        let mut base = settings.url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = Self {
            pool,
            host: HeaderValue::from_str(&base[Position::BeforeHost..Position::AfterPort])
                .expect("hosts in addresses are visible ASCII"),
            address: address(&base),
            base,
            circuit: Arc::new(CircuitBreaker::new(metrics.circuit_open.clone())),
            stalls: Arc::new(StallDetector::new()),
            metrics,
            traces,
        };
        Ok((http, watched))
    }

    /// The same address and guards, with its own connections.
    pub(crate) fn with_own_connections(&self) -> Result<Self, String> {
        Ok(Self { pool: self.pool.sibling()?, ..self.clone() })
    }

    /// Whether requests fail at once because connections have failed.
    pub(crate) fn is_circuit_open(&self) -> bool {
        self.circuit.is_open()
    }

    /// Sends a request and reads its response. Any status is a response.
    ///
    /// # Errors
    ///
    /// There is no complete response within the limits of the request's kind.
    pub(crate) async fn exchange(&self, exchange: Exchange<'_>) -> Result<EmResponse, Error> {
        self.circuit.check()?;
        let sent = Instant::now();
        let counted = self.metrics.request(sent);
        let outgoing = OutgoingRequest {
            method: &exchange.method,
            base: &self.base,
            path: exchange.path,
            resend: exchange.resend,
        };
        let span = self.traces.request(exchange.trace, outgoing);
        let kind = exchange.kind;
        let head = self.send(exchange, span.headers());
        // Pinned here, since `select!` would move it first.
        let response = pin!(self.receive(head, kind));
        let response = tokio::select! {
            biased;
            response = response => response,
            () = self.stalls.stalled(sent, kind.stalls_after()) => Err(Error::Disconnected {
                why: format!("{}: no response, although later requests were answered", self.address),
            }),
        };
        if response.is_ok() {
            self.stalls.answered(sent);
        }
        self.circuit.record(sent, &response);
        let outcome = outcome(&response);
        counted.ended(outcome);
        match &response {
            Ok(response) => span.answered(response.status.as_u16()),
            Err(_) => span.failed(outcome.label()),
        }
        response
    }

    /// Returns a future for the response head. It borrows nothing and is small, so that a call that
    /// waits for EM takes little memory.
    fn send<T: IntoIterator<Item = (HeaderName, HeaderValue)>>(
        &self,
        exchange: Exchange<'_>,
        trace_headers: T,
    ) -> impl Future<Output = Result<Response, reqwest::Error>> + use<T> {
        let client = self.pool.client(exchange.connection);
        // Cheaper than parsing the whole address anew.
        let url = self.base.join(exchange.path).expect("paths are relative");
        let is_post = exchange.method == Method::POST;
        let mut request = Request::new(exchange.method, url);
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.extend(trace_headers);
        if is_post {
            // HTTP.sys answers 411 to a POST that does not say that it has no body.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        match exchange.credential {
            Credential::Basic(user, password) => {
                request = RequestBuilder::from_parts(client.clone(), request)
                    .basic_auth(user, Some(password.expose_secret()))
                    .build()
                    .expect("what is made here is fit for a header");
            }
            Credential::Token(token) => {
                headers.insert(SESSION_HEADER, token.clone());
            }
            Credential::Headers(more) => headers.extend(more.clone()),
        }
        client.execute(request)
    }

    async fn receive(
        &self,
        head: impl Future<Output = Result<Response, reqwest::Error>>,
        kind: RequestKind,
    ) -> Result<EmResponse, Error> {
        let mut response = head.await.map_err(|error| head_error(&error, &self.address))?;

        // Only a successful response may be long.
        let expected = match response.status() {
            StatusCode::OK => kind,
            _ => RequestKind::Entity,
        };
        let body = self.receive_body(&mut response, expected).await;
        // The status of a refused logon counts, also if the page behind it is cut off or endless: the
        // password has been looked at.
        let is_refused_logon = kind == RequestKind::Logon && !response.status().is_success();
        Ok(EmResponse {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: if is_refused_logon { body.unwrap_or_default() } else { body? },
        })
    }

    async fn receive_body(
        &self,
        response: &mut Response,
        expected: RequestKind,
    ) -> Result<Bytes, Error> {
        let lost = |error: reqwest::Error| body_error(&error, &self.address);
        let limit = expected.max_body();
        let too_large = BadResponse::TooLarge { limit };
        let announced = response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(too_large.into());
        }
        let capacity = usize::try_from(announced).unwrap_or(0).min(FIRST_BUFFER);
        let Some(first) = response.chunk().await.map_err(lost)? else { return Ok(Bytes::new()) };
        let mut body = Vec::new();
        let mut length = first.len();
        while length <= limit {
            let Some(chunk) = response.chunk().await.map_err(lost)? else {
                // Most bodies come in one piece, which need not be copied.
                return Ok(if body.is_empty() { first } else { body.into() });
            };
            if body.is_empty() {
                body.reserve(capacity);
                body.extend_from_slice(&first);
            }
            body.extend_from_slice(&chunk);
            length = body.len();
        }
        Err(too_large.into())
    }
}

/// The outcome as which a request is counted.
fn outcome(response: &Result<EmResponse, Error>) -> RequestOutcome {
    let status = match response {
        Ok(response) => response.status,
        Err(Error::Unreachable { .. } | Error::NoFileDescriptor { .. }) => {
            return RequestOutcome::Unreachable;
        }
        Err(Error::UntrustedCertificate { .. }) => return RequestOutcome::Untrusted,
        Err(Error::TlsFailed { .. }) => return RequestOutcome::TlsFailed,
        Err(Error::NotEnterpriseManager { .. }) => return RequestOutcome::Foreign,
        Err(Error::BadResponse(_)) => return RequestOutcome::Unusable,
        Err(_) => return RequestOutcome::Lost,
    };
    match status.as_u16() {
        200..300 => RequestOutcome::Ok,
        401 => RequestOutcome::Unauthorized,
        403 => RequestOutcome::Forbidden,
        404 => RequestOutcome::NotFound,
        400..500 => RequestOutcome::ClientError,
        502..=504 => RequestOutcome::Unavailable,
        500..600 => RequestOutcome::ServerError,
        _ => RequestOutcome::Other,
    }
}
