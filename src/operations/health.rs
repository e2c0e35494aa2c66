//! What `grpc.health.v1` says of this gateway, and of Enterprise Manager.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::enterprise_manager::{Standing, Verdict};

/// The name that tells whether Enterprise Manager answers. The other names do not depend on it:
/// else one outage of it would take every replica out of the mesh.
pub const ENTERPRISE_MANAGER: &str = "enterprise-manager";

/// How soon it is noticed that Enterprise Manager has begun or ceased to answer.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Says of Enterprise Manager what its last answers say: `SERVING`, `NOT_SERVING`, or `UNKNOWN` while
/// nobody has asked it anything lately. Never returns.
pub async fn watch_enterprise_manager(health: HealthReporter, standing: Arc<Standing>) {
    let mut said = None;
    loop {
        let status = match standing.verdict() {
            Verdict::Answers => ServingStatus::Serving,
            Verdict::Fails => ServingStatus::NotServing,
            Verdict::Unknown => ServingStatus::Unknown,
        };
        if said != Some(status) {
            health.set_service_status(ENTERPRISE_MANAGER, status).await;
            said = Some(status);
        }
        sleep(LOOK_INTERVAL).await;
    }
}
