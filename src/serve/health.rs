//! `grpc.health.v1`: whether the gateway accepts calls, for clients and meshes, and Enterprise
//! Manager's state, for dashboards and people.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tonic_health::{
    ServingStatus::{self, NotServing, Serving, Unknown},
    server::{HealthReporter, HealthService},
};

use crate::{
    enterprise_manager::{UpstreamHealth, UpstreamStatus},
    proto::SERVICE_NAME,
};

/// The names for the gateway's own health: the whole server, and its service.
const GATEWAY: [&str; 2] = ["", SERVICE_NAME];

/// The service name whose health is Enterprise Manager's. The other names do not depend on it:
/// otherwise its outage would take every replica out of the mesh.
const ENTERPRISE_MANAGER: &str = "enterprise-manager";

/// How often the state is polled, which is also the maximum delay of a report.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The reported state; clones report the same.
#[derive(Clone)]
pub(super) struct Health(HealthReporter);

impl Health {
    /// The state of a gateway that accepts calls.
    pub(super) async fn serving() -> Self {
        let health = Self(HealthReporter::new());
        health.set(Serving).await;
        health
    }

    /// The health service for clients.
    pub(super) fn service(&self) -> HealthService {
        HealthService::from_health_reporter(self.0.clone())
    }

    /// Reports that the gateway no longer accepts calls.
    pub(super) async fn stopping(&self) {
        self.set(NotServing).await;
    }

    /// Ends health watches, which would otherwise last as long as their connections.
    pub(super) async fn end_watches(&mut self) {
        for name in GATEWAY.into_iter().chain([ENTERPRISE_MANAGER]) {
            self.0.clear_service_status(name).await;
        }
    }

    /// Reports the result of the last reads from Enterprise Manager: `SERVING`, `NOT_SERVING`, or
    /// `UNKNOWN` if there were none recently. Runs until dropped.
    pub(super) async fn report(self, upstream: Arc<UpstreamHealth>) {
        let mut reported = None;
        loop {
            let status = match upstream.status() {
                UpstreamStatus::Answers => Serving,
                UpstreamStatus::Fails => NotServing,
                UpstreamStatus::Unknown => Unknown,
            };
            if reported != Some(status) {
                self.0.set_service_status(ENTERPRISE_MANAGER, status).await;
                reported = Some(status);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn set(&self, status: ServingStatus) {
        for name in GATEWAY {
            self.0.set_service_status(name, status).await;
        }
    }
}
