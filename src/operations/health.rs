//! Enterprise Manager's state in `grpc.health.v1`, for dashboards and people.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::enterprise_manager::{UpstreamHealth, UpstreamStatus};

/// The service name whose health is Enterprise Manager's. The other names do not depend on it:
/// otherwise its outage would take every replica out of the mesh.
pub const ENTERPRISE_MANAGER: &str = "enterprise-manager";

/// How often the state is polled, which is also the maximum delay of a report.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Reports what the last reads have shown of Enterprise Manager: `SERVING`, `NOT_SERVING`, or
/// `UNKNOWN` if there were none recently. Runs until dropped.
pub async fn watch_enterprise_manager(health: HealthReporter, upstream: Arc<UpstreamHealth>) {
    let mut reported = None;
    loop {
        let status = match upstream.status() {
            UpstreamStatus::Answers => ServingStatus::Serving,
            UpstreamStatus::Fails => ServingStatus::NotServing,
            UpstreamStatus::Unknown => ServingStatus::Unknown,
        };
        if reported != Some(status) {
            health.set_service_status(ENTERPRISE_MANAGER, status).await;
            reported = Some(status);
        }
        sleep(POLL_INTERVAL).await;
    }
}
