//! A trace collector: OTLP over gRPC on a real socket. It keeps what it receives.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status, metadata::MetadataMap};

/// A collector that runs until it is dropped.
pub struct Collector {
    /// The address of the collector.
    pub endpoint: String,
    got: Got,
    server: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Got {
    requests: Arc<Mutex<Vec<(MetadataMap, ExportTraceServiceRequest)>>>,
    rejects: Arc<AtomicI64>,
}

#[tonic::async_trait]
impl TraceService for Got {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        self.requests.lock().unwrap().push((metadata, request));
        let rejected_spans = self.rejects.load(Ordering::Relaxed);
        let partial =
            ExportTracePartialSuccess { rejected_spans, error_message: "a quota".to_owned() };
        let partial_success = (rejected_spans > 0).then_some(partial);
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

impl Collector {
    /// Starts a collector on a free port.
    pub async fn start() -> Self {
        Self::start_on("http", None).await
    }

    /// Starts a collector with TLS on a free port.
    pub async fn start_with_tls(mut config: ServerConfig) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::start_on("https", Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start_on(scheme: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
        let got = Got::default();
        let server = tokio::spawn(accept(listener, tls, TraceServiceServer::new(got.clone())));
        Self { endpoint, got, server }
    }

    /// From now on it says of each batch that it rejects so many spans; it keeps them all the same.
    pub fn reject(&self, spans: i64) {
        self.got.rejects.store(spans, Ordering::Relaxed);
    }

    /// All spans so far, in the order in which they ended.
    pub fn spans(&self) -> Vec<Span> {
        let got = self.got.requests.lock().unwrap();
        let scopes = got
            .iter()
            .flat_map(|(_, request)| &request.resource_spans)
            .flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// A resource attribute of the sender.
    pub fn resource(&self, name: &str) -> String {
        let got = self.got.requests.lock().unwrap();
        let resource = got[0].1.resource_spans[0].resource.clone().unwrap();
        value(&resource.attributes, name)
    }

    /// A header of the export requests.
    pub fn header(&self, name: &str) -> String {
        let got = self.got.requests.lock().unwrap();
        got[0].0.get(name).unwrap().to_str().unwrap().to_owned()
    }

    /// Everything received, as text.
    pub fn text(&self) -> String {
        format!("{:?}", self.got.requests.lock().unwrap())
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, service: TraceServiceServer<Got>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, service) = (tls.clone(), service.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, service).await,
                // A client that does not trust the certificate ends the connection.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, service).await;
                    }
                }
            }
        });
    }
}

async fn serve<S>(stream: S, service: TraceServiceServer<Got>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(service);
    let connection =
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    drop(connection.await);
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An attribute of a span as text; empty if the span does not have it.
pub fn attribute(span: &Span, name: &str) -> String {
    value(&span.attributes, name)
}

fn value(attributes: &[KeyValue], name: &str) -> String {
    let mut found = attributes.iter().filter(|found| found.key == name);
    let value = found.next().and_then(|found| found.value.clone()?.value);
    assert!(found.next().is_none(), "{name} is said twice");
    match value {
        None => String::new(),
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => panic!("{name} is {other:?}"),
    }
}
