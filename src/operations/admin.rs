//! The admin listener: `/livez`, `/readyz`, `/status` and `/metrics` over HTTP without TLS: HTTP/1.1, or
//! HTTP/2 with clients that begin with its preface, as proxies do that ask for health with the protocol of
//! the upstream.
//!
//! Why not axum? It limits neither the number of connections nor how long one may stay silent, and clients of
//! this port must not be able to exhaust the file descriptors that callers need. And for four paths there is
//! little to route.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_TYPE},
};
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// Maximum number of open connections; more wait in the kernel's accept queue.
const MAX_CONNECTIONS: usize = 256;

/// How long a client may take to send its first bytes, and the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum age of a connection. Scrapers and probes reconnect.
const LONGEST_CONNECTION: Duration = Duration::from_secs(60);

/// What HTTP/2 begins with; no request of HTTP/1.1 does.
const HTTP2: &[u8] = b"PRI";

/// Maximum number of requests at a time on a connection of HTTP/2.
const MAX_CONCURRENT_STREAMS: u32 = 16;

/// Pause after a failed accept, such as when the process is out of file descriptors.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

const JSON: &str = "application/json";

const TEXT: &str = "text/plain; charset=utf-8";

/// What the admin listener answers.
pub(crate) struct Routes {
    stopping: CancellationToken,
    status: Box<dyn Fn() -> String + Send + Sync>,
    metrics: Arc<Metrics>,
}

impl Routes {
    /// `/livez` succeeds while the process runs, `/readyz` while it is not `stopping`. Neither depends on
    /// Enterprise Manager: otherwise its outage would take every replica out of service. `status` makes the
    /// text of `/status`.
    pub(crate) fn new(
        stopping: CancellationToken,
        status: impl Fn() -> String + Send + Sync + 'static,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { stopping, status: Box::new(status), metrics }
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        let is_get = request.method() == Method::GET || request.method() == Method::HEAD;
        let known = |kind, text: &dyn Fn() -> String| {
            if is_get {
                response(StatusCode::OK, kind, text())
            } else {
                let mut response = Response::new(String::new());
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
                response
            }
        };
        let mut response = match request.uri().path() {
            "/status" => known(JSON, &*self.status),
            "/metrics" if accepts_openmetrics(request.headers()) => {
                known(OPENMETRICS, &|| self.metrics.text())
            }
            "/metrics" => known(METRICS, &|| self.metrics.plain_text()),
            "/readyz" if is_get && self.stopping.is_cancelled() => {
                response(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".to_owned())
            }
            "/livez" | "/readyz" => known(TEXT, &|| "ok\n".to_owned()),
            _ => {
                let mut response = Response::new(String::new());
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
        };
        if request.method() == Method::HEAD {
            let length = std::mem::take(response.body_mut()).len();
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        response
    }
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Whether a scraper accepts the metrics in `OpenMetrics` format; otherwise it gets Prometheus' text format,
/// which every tool can read.
fn accepts_openmetrics(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"))
}

/// Serves the routes until dropped.
pub(crate) async fn serve(listener: TcpListener, routes: Routes) {
    let routes = Arc::new(routes);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections
                    .spawn(timeout(LONGEST_CONNECTION, serve_connection(stream, routes.clone())));
            }
            Err(error) => {
                tracing::debug!(%error, "accepting an admin connection failed");
                sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, routes: Arc<Routes>) {
    // hyper-util can tell the two apart as well, but waits for the first bytes without a limit.
    let mut first = [0; HTTP2.len()];
    let Ok(Ok(length @ 1..)) = timeout(HEADER_TIMEOUT, stream.peek(&mut first)).await else {
        return;
    };
    let service = service_fn(|request| {
        let response = routes.answer(&request);
        async { Ok::<_, Infallible>(response) }
    });
    let io = TokioIo::new(stream);
    let ended = if first[..length] == *HTTP2 {
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .serve_connection(io, service)
            .await
    } else {
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(io, service)
            .await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an admin connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_answered_to_get_and_without_a_body_to_head_and_to_no_other_method() {
        let stopping = CancellationToken::new();
        let routes = Routes::new(stopping.clone(), || "{}\n".to_owned(), Metrics::new());
        let asked = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            let response = routes.answer(&request);
            let header = |name| response.headers().get(name).cloned();
            (
                response.status().as_u16(),
                header(CONTENT_LENGTH),
                header(ALLOW),
                response.into_body(),
            )
        };
        for (path, text) in [("/livez", "ok\n"), ("/readyz?verbose", "ok\n"), ("/status", "{}\n")] {
            assert_eq!(asked(Method::GET, path), (200, None, None, text.to_owned()));
            let length = Some(HeaderValue::from(text.len()));
            assert_eq!(asked(Method::HEAD, path), (200, length, None, String::new()));
            let allowed = Some(HeaderValue::from_static("GET,HEAD"));
            assert_eq!(asked(Method::POST, path), (405, None, allowed, String::new()));
        }
        for path in ["/", "/livez/", "/metrics2", "/Status"] {
            assert_eq!(asked(Method::GET, path), (404, None, None, String::new()), "{path}");
        }
        stopping.cancel();
        assert_eq!(asked(Method::GET, "/readyz"), (503, None, None, "draining\n".to_owned()));
        assert_eq!(asked(Method::GET, "/livez").0, 200);
    }
}
