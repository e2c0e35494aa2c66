//! The services that clients call, created once for each worker.
//!
//! A connection to EM belongs to the runtime that opened it, and so to one worker; limits, shared
//! reads and pollers would be worth less if each worker had its own. This file decides which is which.

use std::sync::Arc;

use tonic::codec::CompressionEncoding;
use tonic_health::pb::health_server::HealthServer;

use super::{health::Health, watches::Watches};
use crate::{
    enterprise_manager::EnterpriseManager,
    following::Following,
    gateway::{FailureLog, Inbound, Layers, OtherServices, PageTokens, SessionMethods, named},
    listener::Worker,
    operations::{metrics::Metrics, traces::Traces},
    proto::FILE_DESCRIPTOR_SET,
    runtime::workers::WorkerThreads,
    settings::Settings,
    sharing::{ReadRegistry, SharedReads},
    watching::Watching,
};

/// What the services of all workers have in common.
pub(super) struct CommonParts<'p> {
    pub(super) settings: &'p Settings,
    pub(super) enterprise_manager: &'p EnterpriseManager,
    pub(super) health: &'p Health,
    pub(super) metrics: &'p Arc<Metrics>,
    pub(super) failures: FailureLog,
    pub(super) traces: Traces,
    pub(super) watches: Watches,
}

/// The workers of the listener: each has its own connections to Enterprise Manager, and shares
/// everything else with the others.
///
/// # Errors
///
/// Why there can be no connections to Enterprise Manager.
pub(super) fn workers(
    threads: &WorkerThreads,
    parts: CommonParts<'_>,
) -> Result<Vec<Worker<Inbound>>, String> {
    let CommonParts { settings, enterprise_manager, health, metrics, failures, traces, watches } =
        parts;
    let reads_registry = ReadRegistry::new(settings.reuse, metrics.reads());
    let Watches { pollers, followed } = watches;
    let tokens = PageTokens::new(&settings.page_token_secret());
    let connections = settings.listener.max_connections;
    let callers = settings.callers.clone();
    let layers = Layers::new(
        settings.calls,
        connections,
        callers,
        enterprise_manager.permits().clone(),
        metrics.clone(),
        failures,
        traces,
    );
    // Made once: reflection keeps all descriptors, decoded.
    let others = others(health);
    let worker = |runtime: &tokio::runtime::Handle| {
        let enterprise_manager = enterprise_manager.with_own_connections()?;
        let reads = SharedReads::new(enterprise_manager, reads_registry.clone());
        let watching = Watching::new(reads.clone(), pollers.clone());
        let heartbeat = settings.watch.heartbeat;
        let following = Following::new(reads.clone(), followed.clone());
        let methods = SessionMethods::new(reads, watching, following, tokens.clone(), heartbeat);
        let new_service = Inbound::new(layers.clone(), methods, others.clone());
        Ok(Worker { runtime: runtime.clone(), new_service })
    };
    threads.handles().iter().map(worker).collect()
}

/// The services for health and reflection, from tonic.
fn others(health: &Health) -> OtherServices {
    const VALID: &str = "the build creates the descriptors";
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // With these, tools can show the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    // A channel that compresses its messages compresses those of probes as well.
    let health = HealthServer::new(health.service());
    OtherServices::new([
        named(health.accept_compressed(CompressionEncoding::Gzip)),
        named(reflection().build_v1().expect(VALID)),
        named(reflection().build_v1alpha().expect(VALID)),
    ])
}
