//! Exports spans to the collector, with the SDK's batch processor.
//!
//! No call ever waits for the collector: spans go into a bounded queue, and those that do not fit
//! are dropped. The SDK also does this, but silently; the wrapper here counts the dropped spans.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use opentelemetry::{InstrumentationScope, KeyValue, trace::TracerProvider as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData,
        SpanProcessor,
    },
};
use tonic::transport::Endpoint;
use uuid::Builder;

use super::{
    Traces, Tracing,
    collector::{CollectorClient, endpoint},
};
use crate::{
    operations::metrics::SpanCounters,
    settings::{Sampling, SettingError, TraceSettings},
};

/// Maximum time for exporting the last spans at shutdown.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Exports spans until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Export(Option<SdkTracerProvider>);

/// Starts the export of traces; without settings there are neither traces nor an export, and the log
/// says so if a setting cannot be used. Must be called within the runtime that will run the connection to
/// the collector. The connection is established when it is first needed.
pub(crate) fn start(
    settings: &Result<Option<TraceSettings>, SettingError>,
    counted: SpanCounters,
) -> (Traces, Export) {
    let settings = settings.as_ref().map_err(ToString::to_string);
    let opened = settings.and_then(|settings| {
        let Some(settings) = settings else { return Ok(None) };
        let endpoint = endpoint(settings).map_err(|error| error.to_string())?;
        Ok(Some((settings, endpoint)))
    });
    match opened {
        Ok(Some((settings, endpoint))) => export_to(&endpoint, settings, counted),
        Ok(None) => (Traces::default(), Export(None)),
        Err(why) => {
            tracing::warn!(why, "no traces are sent");
            (Traces::default(), Export(None))
        }
    }
}

fn export_to(
    endpoint: &Endpoint,
    settings: &TraceSettings,
    counted: SpanCounters,
) -> (Traces, Export) {
    let waiting = Arc::new(AtomicUsize::new(0));
    let exporter = CollectorClient::new(endpoint, settings, waiting.clone(), counted.clone());
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(settings.queue)
        .with_max_export_batch_size(settings.batch)
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
    (traces, Export(Some(provider)))
}

impl Export {
    /// Exports the remaining spans and stops. Takes 2 s at most.
    pub(crate) async fn stop(&mut self) {
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
