//! One HTTP exchange with Enterprise Manager: a request out, a bounded answer back.

use std::{pin::pin, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::{
    Client, Method, Request, RequestBuilder, Response, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::watch, time::Instant};
use url::Url;

use super::{
    lost::{connection_error, root_cause},
    reach::address,
    reply::Reply,
};
use crate::{
    enterprise_manager::{
        error::{BadResponse, Error},
        guard::{circuit::Circuit, overtaken::Answered, purpose::Purpose},
    },
    operations::{
        metrics::{RequestOutcome, UpstreamMetrics},
        traces::{TraceContext, Traces},
    },
};

/// The header that carries the token, in both directions.
pub(crate) const SESSION_HEADER: HeaderName = HeaderName::from_static("x-restsvcsessionid");

/// After how long a silent connection is probed, and how often then.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long a connection, with its TLS handshake, may take to come about.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an unused connection is kept: well below the 120 s after which HTTP.sys closes it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Most room for a body before any of it has come: more than a session or a short list needs. A
/// longer one makes its own room as it arrives, so that none is held for what never comes.
const FIRST_ROOM: usize = 128 * 1024;

/// The HTTP side of one Enterprise Manager: its address and a pool of connections.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// The pool; another one when other certificates are to be trusted.
    client: watch::Receiver<Client>,
    pools: Arc<Mutex<Pools>>,
    /// The address with its path prefix and a slash at the end.
    base: Url,
    /// Host and port, for the log.
    address: String,
    circuit: Arc<Circuit>,
    answered: Arc<Answered>,
    metrics: Arc<UpstreamMetrics>,
    traces: Traces,
}

/// All pools of connections, one a worker.
#[derive(Debug)]
struct Pools {
    /// Shared by all pools, and with it the TLS sessions to be resumed.
    tls: ClientConfig,
    clients: Vec<watch::Sender<Client>>,
}

/// What proves to EM who is asking.
#[derive(Clone, Copy)]
pub(crate) enum Credential<'c> {
    /// User name and password, for a logon.
    Basic(&'c str, &'c SecretString),
    /// The token of a logon session, for everything else.
    Token(&'c HeaderValue),
    /// What these headers say, if anything: for those who look at EM.
    Headers(&'c HeaderMap),
}

impl Http {
    /// Prepares the client; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// Why there can be no client.
    pub(crate) fn new(
        url: &Url,
        tls: ClientConfig,
        metrics: Arc<UpstreamMetrics>,
        traces: Traces,
    ) -> Result<Self, String> {
        let mut base = url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let (sender, client) = watch::channel(client(tls.clone())?);
        Ok(Self {
            client,
            pools: Arc::new(Mutex::new(Pools {
                tls,
                clients: vec![sender],
            })),
            address: address(&base),
            base,
            circuit: Arc::new(Circuit::new(metrics.circuit_open.clone())),
            answered: Arc::new(Answered::new()),
            metrics,
            traces,
        })
    }

    /// The same address and circuit, with a pool of its own.
    pub(crate) fn with_own_connections(&self) -> Result<Self, String> {
        let mut pools = self.pools.lock();
        let (sender, client) = watch::channel(client(pools.tls.clone())?);
        pools.clients.push(sender);
        Ok(Self {
            client,
            ..self.clone()
        })
    }

    /// Trusts what this says from the next request on. Requests in flight end as they are. There
    /// are new pools for that: connections that are open have been verified, and TLS sessions that
    /// are resumed are not verified again.
    ///
    /// # Errors
    ///
    /// Why there can be no client; then everything stays as it is.
    pub(crate) fn trust(&self, tls: ClientConfig) -> Result<(), String> {
        let mut pools = self.pools.lock();
        let new = pools.clients.iter().map(|_| client(tls.clone()));
        let new = new.collect::<Result<Vec<_>, _>>()?;
        for (sender, client) in pools.clients.iter().zip(new) {
            sender.send_replace(client);
        }
        pools.tls = tls;
        Ok(())
    }

    /// Whether requests fail at once because connections have failed.
    pub(crate) fn is_circuit_open(&self) -> bool {
        self.circuit.is_open()
    }

    /// Sends one request without a body and reads the answer. `path` is relative to the address
    /// and its prefix; the last argument is in whose trace it is, and how often it has been sent before.
    ///
    /// # Errors
    ///
    /// When there is no complete answer within the limits of `purpose`. Any status is an answer.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        credential: Credential<'_>,
        purpose: Purpose,
        (origin, again): (&TraceContext, u32),
    ) -> Result<Reply, Error> {
        self.circuit.check()?;
        let counted = self.metrics.request();
        let attempt = self
            .traces
            .attempt(origin, &method, &self.base, path, again);
        let sent = Instant::now();
        // Pinned here, since `select!` would copy it first.
        let trace = attempt.headers();
        let answer = self.send(method, path, credential, trace);
        let reply = pin!(self.receive(answer, purpose));
        let reply = tokio::select! {
            biased;
            reply = reply => reply,
            () = self.answered.overtakes(sent, purpose.silence()) => Err(Error::Disconnected {
                why: format!("{}: silent, while later requests are answered", self.address),
            }),
        };
        if reply.is_ok() {
            self.answered.note(sent);
        }
        self.circuit.record(&reply);
        let outcome = outcome(&reply);
        counted.ended(outcome);
        match &reply {
            Ok(reply) => attempt.answered(reply.status.as_u16()),
            Err(_) => attempt.failed(outcome.label()),
        }
        reply
    }

    /// Begins to send a request, and gives what waits for the head of the answer. That is small, and
    /// has what it needs of this, so that waiting for an answer takes little memory.
    fn send<T: IntoIterator<Item = (HeaderName, HeaderValue)>>(
        &self,
        method: Method,
        path: &str,
        credential: Credential<'_>,
        trace: T,
    ) -> impl Future<Output = Result<Response, reqwest::Error>> + use<T> {
        let client = self.client.borrow().clone();
        // Cheaper than to read the whole address anew.
        let url = self.base.join(path).expect("paths are relative");
        let must_say_length = method == Method::POST;
        let mut request = Request::new(method, url);
        let headers = request.headers_mut();
        headers.extend(trace);
        if must_say_length {
            // HTTP.sys answers 411 to a POST that does not say that it has no body.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        match credential {
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

    /// Waits for the answer and reads it.
    async fn receive(
        &self,
        answer: impl Future<Output = Result<Response, reqwest::Error>>,
        purpose: Purpose,
    ) -> Result<Reply, Error> {
        let lost = |error: reqwest::Error| connection_error(&error, &self.address);
        let mut response = answer.await.map_err(lost)?;

        // Only what was asked for may be long.
        let expected = match response.status() {
            StatusCode::OK => purpose,
            _ => Purpose::One,
        };
        let limit = expected.max_body();
        let too_large = BadResponse::TooLarge { limit };
        let announced = response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(too_large.into());
        }
        let room = usize::try_from(announced).unwrap_or(0).min(FIRST_ROOM);
        let mut body = Vec::with_capacity(room);
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > limit {
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

/// What is counted of a request.
fn outcome(reply: &Result<Reply, Error>) -> RequestOutcome {
    let status = match reply {
        Ok(reply) => reply.status,
        Err(Error::Unreachable { .. }) => return RequestOutcome::Unreachable,
        Err(Error::UntrustedCertificate { .. }) => return RequestOutcome::Untrusted,
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

fn client(tls: ClientConfig) -> Result<Client, String> {
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
        // Finds out about a machine that is gone while nothing is sent to it.
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_keepalive_interval(KEEP_ALIVE)
        .build()
        .map_err(|error| root_cause(&error))
}
