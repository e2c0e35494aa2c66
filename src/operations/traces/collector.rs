//! Sends batches of spans to the collector: OTLP over gRPC, with retries.
//!
//! Why not the exporter of `opentelemetry-otlp`? It takes an answer with `partial_success` for a full one,
//! reads variables of the environment by itself and leaves out, without a word, what it cannot read in
//! them. Its messages are used, and its rules for retries.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry_proto::{
    tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest,
        trace_service_client::TraceServiceClient,
    },
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};
use tonic::{
    Code, Request, Status,
    metadata::MetadataMap,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt as _;

use crate::{
    operations::{log::root_cause, metrics::SpanCounters},
    proto::codes::code_name,
    runtime::{certificates::lacks_authorities, readable::duration},
    settings::{SettingError, TraceSettings},
};

/// The pause before the first retry; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Retries of one batch, if it has the time.
const MOST_RETRIES: u32 = 4;

/// The collector's address, with TLS if it is `https://`.
///
/// # Errors
///
/// When the address or its certificate authority cannot be used.
pub(crate) fn endpoint(settings: &TraceSettings) -> Result<Endpoint, SettingError> {
    let unusable = |error: tonic::transport::Error| {
        let cause = root_cause(&error).map_or_else(|| error.to_string(), ToString::to_string);
        let why = if lacks_authorities(&cause) {
            "the system has no CA certificates; set OTEL_EXPORTER_OTLP_CERTIFICATE, or SSL_CERT_FILE to a PEM file \
             with them"
        } else {
            &cause
        };
        let problem = format!("cannot be sent traces to: {why}");
        SettingError::new("OTEL_EXPORTER_OTLP_ENDPOINT", problem)
    };
    let endpoint = Endpoint::from_shared(settings.endpoint.clone())
        .and_then(|endpoint| {
            endpoint.user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        })
        .map_err(unusable)?;
    if !settings.endpoint.starts_with("https:") {
        return Ok(endpoint);
    }
    let tls = ClientTlsConfig::new();
    let tls = match &settings.ca {
        Some(ca) => tls.trust_anchors(ca.clone()),
        None => tls.with_enabled_roots(),
    };
    endpoint.tls_config(tls).map_err(unusable)
}

/// Sends batches, counts what became of their spans, and logs when that changes.
#[derive(Debug)]
pub(super) struct CollectorClient {
    client: TraceServiceClient<Channel>,
    headers: MetadataMap,
    timeout: Duration,
    /// Runs the connection; the batches come from a thread of their own.
    runtime: Handle,
    resource: ResourceAttributesWithSchema,
    /// Spans in the queue.
    waiting: Arc<AtomicUsize>,
    counted: SpanCounters,
    last: Mutex<Outcome>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Accepted,
    /// At least one of its spans is rejected, or the collector has a warning.
    AcceptedInPart,
    Failed,
}

impl CollectorClient {
    /// Connects when it sends the first batch.
    pub(super) fn new(
        endpoint: &Endpoint,
        settings: &TraceSettings,
        waiting: Arc<AtomicUsize>,
        counted: SpanCounters,
    ) -> Self {
        Self {
            client: TraceServiceClient::new(endpoint.connect_lazy()),
            headers: MetadataMap::from_headers(settings.headers.clone()),
            timeout: settings.timeout,
            runtime: Handle::current(),
            resource: ResourceAttributesWithSchema::default(),
            waiting,
            counted,
            last: Mutex::new(Outcome::Accepted),
        }
    }

    /// Notes what became of a batch. Returns whether that is new.
    fn note(&self, outcome: Outcome) -> bool {
        std::mem::replace(&mut *self.last.lock(), outcome) != outcome
    }

    fn accepted(&self, spans: u64, partial: ExportTracePartialSuccess) {
        let rejected = u64::try_from(partial.rejected_spans).unwrap_or_default().min(spans);
        self.counted.exported.inc_by(spans - rejected);
        self.counted.rejected.inc_by(rejected);
        if rejected == 0 && partial.error_message.is_empty() {
            if self.note(Outcome::Accepted) {
                tracing::info!("traces reach the collector again");
            }
        } else if self.note(Outcome::AcceptedInPart) {
            // A text of the collector might repeat a key that it was sent.
            let why = self.headers.is_empty().then_some(partial.error_message);
            tracing::warn!(rejected, of = spans, why, "the collector rejects spans");
        }
    }
}

impl SpanExporter for CollectorClient {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::AcqRel);
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        let sending = send(self.client.clone(), self.headers.clone(), request);
        let limit = self.timeout;
        let sent = self.runtime.spawn(async move { timeout(limit, sending).await }).await;
        let spans = spans as u64;
        let problem = match sent {
            Ok(Ok(Ok(partial))) => {
                self.accepted(spans, partial);
                return Ok(());
            }
            // Without the text of the collector, for the same reason.
            Ok(Ok(Err(status))) => match root_cause(&status) {
                Some(cause) => format!("{}: {cause}", code_name(status.code())),
                None => code_name(status.code()).to_owned(),
            },
            Ok(Err(_)) => format!("no answer within {}", duration(limit)),
            Err(_) => "the gateway stops".to_owned(),
        };
        self.counted.failed.inc_by(spans);
        if self.note(Outcome::Failed) {
            tracing::warn!("traces do not reach the collector: {problem}");
        }
        Err(OTelSdkError::InternalFailure(problem))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

/// Sends a batch, again and again if that may help.
async fn send(
    mut client: TraceServiceClient<Channel>,
    headers: MetadataMap,
    batch: ExportTraceServiceRequest,
) -> Result<ExportTracePartialSuccess, Status> {
    let mut retries = 0;
    loop {
        let mut request = Request::new(batch.clone());
        request.metadata_mut().clone_from(&headers);
        let status = match client.export(request).await {
            Ok(answer) => return Ok(answer.into_inner().partial_success.unwrap_or_default()),
            Err(status) => status,
        };
        let Some(pause) = pause_before_retry(&status).filter(|_| retries < MOST_RETRIES) else {
            return Err(status);
        };
        let own = FIRST_PAUSE * 2_u32.pow(retries);
        // Replicas that were refused together come back one after the other.
        sleep(pause.max(own.mul_f64(0.5 + fastrand::f64()))).await;
        retries += 1;
    }
}

/// The shortest pause that the collector asks for, if OTLP lets the batch be sent again at all.
fn pause_before_retry(status: &Status) -> Option<Duration> {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let may_be_sent_again = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => asked.is_some(),
        _ => false,
    };
    may_be_sent_again.then(|| asked.unwrap_or_default())
}
