//! Exports spans to the collector, with the SDK's batch processor and OTLP exporter.
//!
//! No call ever waits for the collector: spans go into a bounded queue, and those that do not fit
//! are dropped. The SDK also does this, but silently; the wrappers here count the spans that were
//! exported, failed or were dropped, and log when the collector becomes unreachable.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use opentelemetry::{InstrumentationScope, KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData,
        SpanExporter, SpanProcessor,
    },
};
use tonic::transport::{Certificate, ClientTlsConfig};
use uuid::Builder;

use super::{Traces, Tracing};
use crate::{
    operations::metrics::SpanCounters,
    settings::{Sampling, SettingError, TraceSettings},
};

/// Maximum time for exporting the last spans at shutdown.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Exports spans until it is stopped or dropped.
#[derive(Debug)]
pub struct Export(Option<SdkTracerProvider>);

/// Starts the export of traces; without settings there are neither traces nor an export. Must be
/// called within the runtime that will run the connection to the collector. The connection is
/// established when it is first needed.
///
/// # Errors
///
/// The endpoint or its certificate authority cannot be used.
pub fn start(
    settings: Option<&TraceSettings>,
    counted: SpanCounters,
) -> Result<(Traces, Export), SettingError> {
    let Some(settings) = settings else { return Ok((Traces::default(), Export(None))) };
    let exporter =
        opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(&settings.endpoint);
    let exporter = if settings.endpoint.starts_with("https:") {
        let tls = ClientTlsConfig::new();
        exporter.with_tls_config(match &settings.ca {
            Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            None => tls.with_enabled_roots(),
        })
    } else {
        exporter
    };
    let exporter = exporter.build().map_err(|error| {
        let problem = format!("cannot receive traces: {error}");
        SettingError::new("OTEL_EXPORTER_OTLP_ENDPOINT", problem)
    })?;
    let waiting = Arc::new(AtomicUsize::new(0));
    let exporter = CountingExporter {
        exporter,
        waiting: waiting.clone(),
        is_failing: AtomicBool::new(false),
        counted: counted.clone(),
    };
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(settings.queue)
        .with_scheduled_delay(settings.delay)
        .build();
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batches);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_sampler(sampler(settings.sampling))
        .with_span_processor(BoundedProcessor {
            next: batches.build(),
            waiting,
            capacity: settings.queue,
            counted,
        })
        .build();
    let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build();
    let traces = Traces(Some(Tracing {
        tracer: provider.tracer_with_scope(scope),
        follows_parent: settings.sampling.follows_parent,
    }));
    tracing::info!(endpoint = %settings.endpoint, "sending traces");
    Ok((traces, Export(Some(provider))))
}

impl Export {
    /// Exports the remaining spans and stops. Takes 2 s at most.
    pub async fn stop(&mut self) {
        let Some(provider) = self.0.take() else { return };
        let stop = move || provider.shutdown_with_timeout(LAST_SPANS);
        // This blocks, while the runtime has to keep running the connection.
        let stopped = tokio::task::spawn_blocking(stop).await;
        if !matches!(stopped, Ok(Ok(()))) {
            tracing::warn!("the last spans have not been sent within {LAST_SPANS:?}");
        }
    }
}

impl Drop for Export {
    /// Stops without waiting: the drop may happen on the runtime that it would have to wait for.
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            thread::spawn(move || provider.shutdown_with_timeout(Duration::ZERO));
        }
    }
}

/// Describes this process to the collector. The environment overrides the attributes set here.
fn resource() -> Resource {
    let id = Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid();
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", env!("CARGO_PKG_NAME")),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", id.to_string()),
        ])
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    let name = std::env::var("OTEL_SERVICE_NAME").ok();
    match name.filter(|name| !name.is_empty()) {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

fn sampler(sampling: Sampling) -> Sampler {
    let own = if sampling.ratio >= 1.0 {
        Sampler::AlwaysOn
    } else if sampling.ratio <= 0.0 {
        Sampler::AlwaysOff
    } else {
        Sampler::TraceIdRatioBased(sampling.ratio)
    };
    if sampling.follows_parent { Sampler::ParentBased(Box::new(own)) } else { own }
}

/// Passes on only as many spans as fit into the queue, and counts those that it drops. The queue
/// itself would drop them silently.
#[derive(Debug)]
struct BoundedProcessor {
    next: BatchSpanProcessor,
    /// Number of spans in the queue.
    waiting: Arc<AtomicUsize>,
    capacity: usize,
    counted: SpanCounters,
}

impl SpanProcessor for BoundedProcessor {
    fn on_start(&self, span: &mut Span, context: &opentelemetry::Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::AcqRel) < self.capacity {
            self.next.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.counted.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Counts exported and failed spans, and logs once when the collector becomes unreachable and once
/// when it is reachable again.
#[derive(Debug)]
struct CountingExporter {
    exporter: opentelemetry_otlp::SpanExporter,
    waiting: Arc<AtomicUsize>,
    is_failing: AtomicBool,
    counted: SpanCounters,
}

impl SpanExporter for CountingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::AcqRel);
        let outcome = self.exporter.export(batch).await;
        let was_failing = self.is_failing.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Ok(()) => {
                self.counted.exported.inc_by(spans as u64);
                if was_failing {
                    tracing::info!("traces reach the collector again");
                }
            }
            Err(error) => {
                self.counted.failed.inc_by(spans as u64);
                if !was_failing {
                    tracing::warn!("traces do not reach the collector: {error}");
                }
            }
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
