//! Composes a gateway from its modules, runs it, and stops it.
//!
//! Only this module knows all others, and which option an unusable setting comes from:
//!
//! * `mod.rs`: start and stop.
//! * `listening.rs`: the sockets.
//! * `services.rs`: the services that clients call.
//! * `health.rs`, `status.rs`: report the state of the gateway and of Enterprise Manager; `watches.rs` and
//!   `refused_files.rs` are parts of it.
//! * `error.rs`: why a gateway does not start.

mod error;
mod health;
mod listening;
mod refused_files;
mod services;
mod status;
mod watches;

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    enterprise_manager::EnterpriseManager,
    gateway::FailureLog,
    listener::{Listener, Tls},
    operations::{
        admin,
        metrics::Metrics,
        traces::{self, Export},
    },
    runtime::{
        reload::{self, WatchedFiles},
        workers::WorkerThreads,
    },
    settings::{SettingError, Settings},
};
pub use error::StartError;
use health::Health;
use listening::listen;
use refused_files::RefusedFiles;
use services::CommonParts;
use status::StatusPage;
use watches::Watches;

/// A running gateway.
pub struct RunningGateway {
    address: SocketAddr,
    admin_address: SocketAddr,
    settings: Settings,
    enterprise_manager: EnterpriseManager,
    health: Health,
    /// Cancelled when `/readyz` has to report that the gateway is stopping.
    stopping: CancellationToken,
    drain: CancellationToken,
    /// Notified when the files have to be read at once.
    reread: Arc<Notify>,
    failures: FailureLog,
    /// One task. Like the others, it is aborted when this is dropped.
    listener: JoinSet<()>,
    em_health: AbortHandle,
    _tasks: JoinSet<()>,
    export: Export,
    /// Dropped last, because the other tasks wait for what the workers do.
    _threads: WorkerThreads,
}

/// Starts a gateway. It sends nothing to Enterprise Manager before the first call.
///
/// # Errors
///
/// A setting cannot be used, or the gateway cannot listen on an address.
pub async fn start(settings: Settings) -> Result<RunningGateway, StartError> {
    // Files first, since they need no port: wrong settings should be reported before anything else
    // fails.
    let metrics = Metrics::new();
    let (traces, export) = traces::start(&settings.traces, metrics.spans());
    let expiries = ["listener", "enterprise_manager"].map(|side| (side, metrics.expiry(side)));
    let [(_, own_expiry), (_, em_expiry)] = expiries.clone();
    let (enterprise_manager, em_files) = EnterpriseManager::load(
        settings.enterprise_manager.clone(),
        em_expiry,
        metrics.upstream.clone(),
        traces.clone(),
    )
    .map_err(SettingError::from)?;
    let tls = settings.tls.clone().map(|tls| Tls::load(tls, own_expiry)).transpose();
    let (tls, tls_files) = tls.map_err(SettingError::from)?.unzip();
    let files = named(em_files).chain(named(tls_files.unwrap_or_default())).collect();

    // Ports.
    let (address, socket) = listen("--listen", settings.listen)?;
    let (admin_address, admin_socket) = listen("--admin-listen", settings.admin_listen)?;

    // Services.
    let threads = WorkerThreads::start(settings.workers).map_err(StartError::Threads)?;
    let health = Health::serving().await;
    let failures = FailureLog::new();
    let watches = Watches::new(settings.watch, &metrics, &traces);
    let parts = CommonParts {
        settings: &settings,
        enterprise_manager: &enterprise_manager,
        health: &health,
        metrics: &metrics,
        failures: failures.clone(),
        traces,
        watches: watches.clone(),
    };
    let workers = services::workers(&threads, parts).map_err(StartError::Connections)?;

    // Tasks.
    let (stopping, drain) = (CancellationToken::new(), CancellationToken::new());
    let (mut listener, mut tasks) = (JoinSet::new(), JoinSet::new());
    let clients = Listener {
        tls,
        settings: settings.listener,
        metrics: metrics.clone(),
        drain: drain.clone(),
    };
    listener.spawn(clients.run(socket, workers));
    let counted = metrics.clone();
    let refused_files = Arc::new(RefusedFiles::default());
    let refused = refused_files.clone();
    let reloaded = move |what, outcome: Result<(), &SettingError>| {
        counted.reloaded(what, outcome.is_ok());
        refused.changed(what, outcome.err().map(ToString::to_string));
    };
    let reread = Arc::new(Notify::new());
    tasks.spawn(reload::run(files, settings.reload_interval, reread.clone(), reloaded));
    let status = StatusPage {
        started: Instant::now(),
        settings: settings.in_effect.clone(),
        enterprise_manager: enterprise_manager.clone(),
        stopping: stopping.clone(),
        expiries,
        refused_files,
        watches,
    };
    let routes = admin::Routes::new(stopping.clone(), move || status.text(), metrics);
    tasks.spawn(admin::serve(admin_socket, routes));
    tasks.spawn(failures.clone().run());
    let em_health = tasks.spawn(health.clone().report(enterprise_manager.health().clone()));

    settings.in_effect.log();
    tracing::info!(%address, %admin_address, enterprise_manager = %settings.enterprise_manager.url, "serving");
    Ok(RunningGateway {
        address,
        admin_address,
        settings,
        enterprise_manager,
        health,
        stopping,
        drain,
        reread,
        failures,
        listener,
        em_health,
        _tasks: tasks,
        export,
        _threads: threads,
    })
}

/// The same files, with errors that name the option.
fn named<E: 'static>(
    files: Vec<WatchedFiles<E>>,
) -> impl Iterator<Item = WatchedFiles<SettingError>>
where
    SettingError: From<E>,
{
    files.into_iter().map(|files| files.map_err(SettingError::from))
}

impl RunningGateway {
    /// The address for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for operators.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// When it is notified, the gateway reads its files at once and uses those that have changed.
    pub fn reread(&self) -> Arc<Notify> {
        self.reread.clone()
    }

    /// Waits until the gateway ends by itself, which would be a bug.
    pub async fn ended(&mut self) {
        self.listener.join_next().await;
    }

    /// Stops the gateway without losing a call: reports that it no longer serves, waits for the mesh to
    /// notice, sends GOAWAY to clients, lets their calls finish, and logs off. This takes at most the
    /// lame-duck time, the drain timeout, 2 s for the logoff, and 2 s for the last spans.
    pub async fn stop(mut self) {
        tracing::info!(
            "stopping: the gateway still accepts calls, so that callers have time to notice"
        );
        self.health.stopping().await;
        self.stopping.cancel();
        sleep(self.settings.lame_duck).await;

        tracing::info!("draining: calls in flight may finish");
        self.em_health.abort();
        self.health.end_watches().await;
        self.drain.cancel();
        if let Some(Err(error)) = self.listener.join_next().await {
            tracing::error!(%error, "the listener's task panicked or was aborted");
        }
        self.failures.flush();
        self.enterprise_manager.log_off().await;
        self.export.stop().await;
        tracing::info!("stopped");
    }
}
