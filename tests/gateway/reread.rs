//! Files that are read on demand, as after SIGHUP.

use std::time::Duration;

use replica_session_gateway::enterprise_manager::presented_certificate;

use super::{callers::secured, certificates::issue, rotation::reloaded};

#[tokio::test]
async fn files_that_are_read_on_demand_are_in_use_long_before_their_time() {
    let setup = secured(&[], |settings| settings.reload_interval = Duration::from_secs(3600)).await;
    let new = issue(&setup.authority, &["127.0.0.1"]);
    new.write(setup.folder.path());
    setup.gateway.reread().notify_one();
    reloaded(&setup.gateway, "listener_certificate", "applied", 1).await;
    let url = format!("https://{}", setup.gateway.address()).parse().unwrap();
    assert_eq!(presented_certificate(&url).await.unwrap().pin, new.pin());
}
