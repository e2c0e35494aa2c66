//! Composes a gateway from its modules, runs it, and takes it down again.
//!
//! Only this file knows all modules, and which option is behind a setting that one of them cannot use.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

use crate::{
    enterprise_manager::{EnterpriseManager, Setting, UnusableSetting},
    gateway::{Inbound, Layers, PageTokens, SessionMethods},
    listener::{Listener, Tls, TlsFile, UnusableTlsFile, Worker},
    operations::{
        admin, health,
        metrics::Metrics,
        readiness::Readiness,
        status::Status,
        traces::{self, Export},
    },
    proto::{FILE_DESCRIPTOR_SET, v1::replica_session_service_server::SERVICE_NAME},
    runtime::{
        certificates::Expiry,
        reload::{self, Watched},
        workers::Workers,
    },
    settings::{
        CLIENT_CA_FILE, CallerTls, EM_CA_FILE, EM_PASSWORD_FILE, EM_PIN_FILE, SettingError,
        Settings, TLS_CERT_FILE, TLS_KEY_FILE,
    },
    sharing::{ReadRegistry, SharedReads},
    watching::{PollerRegistry, Watching},
};

/// A gateway that runs.
pub struct RunningGateway {
    address: SocketAddr,
    admin_address: SocketAddr,
    settings: Settings,
    enterprise_manager: EnterpriseManager,
    health: HealthReporter,
    readiness: Readiness,
    drain: CancellationToken,
    listener: JoinHandle<()>,
    admin: JoinHandle<()>,
    reload: JoinHandle<()>,
    em_health: JoinHandle<()>,
    export: Export,
    /// Dropped last: they run what the other tasks wait for.
    _threads: Workers,
}

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{option}: {address} cannot be listened on: {error}")]
    Listen {
        /// The option that names the address.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// Files that settings name cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The system gives no more threads.
    #[error("--workers: cannot start that many threads: {0}")]
    Threads(io::Error),
    /// There can be no connections to Enterprise Manager.
    #[error("no connections to Enterprise Manager: {0}")]
    Connections(String),
}

/// Names the option behind a setting of Enterprise Manager's side.
impl From<UnusableSetting> for SettingError {
    fn from(unusable: UnusableSetting) -> Self {
        let option = match unusable.setting {
            Setting::Url => "--em-url",
            Setting::CaFile => EM_CA_FILE,
            Setting::PinFile => EM_PIN_FILE,
            Setting::PasswordFile => EM_PASSWORD_FILE,
        };
        Self::new(option, unusable.problem)
    }
}

/// Names the option behind a file for TLS towards clients.
impl From<UnusableTlsFile> for SettingError {
    fn from(unusable: UnusableTlsFile) -> Self {
        let option = match unusable.file {
            TlsFile::Certificate => TLS_CERT_FILE,
            TlsFile::Key => TLS_KEY_FILE,
            TlsFile::ClientCa => CLIENT_CA_FILE,
        };
        Self::new(option, unusable.problem)
    }
}

/// Starts a gateway. Enterprise Manager is not asked for anything before the first call.
///
/// # Errors
///
/// When a setting cannot be used, or an address cannot be listened on.
pub async fn start(settings: Settings) -> Result<RunningGateway, StartError> {
    // Files first, since they need no port: wrong settings are reported before anything else fails.
    let (own_expiry, em_expiry) = (Expiry::default(), Expiry::default());
    let metrics = Metrics::new();
    let (traces, export) = traces::start(settings.traces.as_ref(), metrics.spans())?;
    let (enterprise_manager, em_files) = EnterpriseManager::load(
        settings.enterprise_manager.clone(),
        em_expiry.clone(),
        metrics.upstream.clone(),
        traces.clone(),
    )
    .map_err(SettingError::from)?;
    let (tls, tls_files) = load_tls(settings.tls.clone(), own_expiry.clone())?;
    let files = em_files
        .into_iter()
        .map(|files| files.map_err(SettingError::from))
        .chain(tls_files)
        .collect();

    // Ports.
    let (address, socket) = listen("--listen", settings.listen).await?;
    let (admin_address, admin_socket) = listen("--admin-listen", settings.admin_listen).await?;

    // The services that clients call, one for each worker.
    let threads = Workers::start(settings.workers).map_err(StartError::Threads)?;
    let health = HealthReporter::new();
    set_health(&health, ServingStatus::Serving).await;
    let reads_registry = ReadRegistry::new(settings.reuse, metrics.reads());
    let pollers = PollerRegistry::new(
        settings.watch,
        settings.enterprise_manager.concurrency,
        metrics.clone(),
        traces.clone(),
    );
    let tokens = PageTokens::new(&settings.page_token_secret());
    let layers = Layers::new(settings.calls, metrics.clone(), traces);
    let workers = threads
        .handles()
        .iter()
        .map(|runtime| {
            let enterprise_manager = enterprise_manager.with_own_connections()?;
            let reads = SharedReads::new(enterprise_manager, reads_registry.clone());
            let watching = Watching::new(reads.clone(), pollers.clone());
            let methods = SessionMethods::new(reads, watching, tokens.clone());
            Ok(Worker {
                runtime: runtime.clone(),
                new_service: Inbound::new(layers.clone(), methods, other_services(&health)),
            })
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(StartError::Connections)?;

    // Tasks.
    let drain = CancellationToken::new();
    let listener = Listener {
        socket,
        tls,
        settings: settings.listener,
        metrics: metrics.clone(),
        drain: drain.clone(),
    };
    let listener = tokio::spawn(listener.run(workers));
    let readiness = Readiness::default();
    readiness.set(true);
    let expiries = vec![("listener", own_expiry), ("enterprise_manager", em_expiry)];
    let status = Arc::new(Status::new(
        settings.clone(),
        enterprise_manager.clone(),
        readiness.clone(),
        expiries.clone(),
    ));
    let reload = reload::run(files, settings.reload_interval, expiries, metrics.clone());
    let reload = tokio::spawn(reload);
    let routes = admin::routes(readiness.clone(), status, metrics);
    let admin = tokio::spawn(admin::serve(admin_socket, routes));
    let em_health = tokio::spawn(health::watch_enterprise_manager(
        health.clone(),
        enterprise_manager.health().clone(),
    ));

    settings.in_effect.log();
    tracing::info!(%address, %admin_address, enterprise_manager = %settings.enterprise_manager.url, "serving");
    Ok(RunningGateway {
        address,
        admin_address,
        settings,
        enterprise_manager,
        health,
        readiness,
        drain,
        listener,
        _threads: threads,
        admin,
        reload,
        em_health,
        export,
    })
}

fn load_tls(
    settings: Option<CallerTls>,
    expiry: Expiry,
) -> Result<(Option<Tls>, Vec<Watched<SettingError>>), SettingError> {
    let Some(settings) = settings else {
        return Ok((None, Vec::new()));
    };
    let (tls, files) = Tls::load(settings, expiry)?;
    let files = files.into_iter().map(|files| files.map_err(SettingError::from)).collect();
    Ok((Some(tls), files))
}

async fn listen(
    option: &'static str,
    address: SocketAddr,
) -> Result<(SocketAddr, TcpListener), StartError> {
    TcpListener::bind(address)
        .await
        .and_then(|socket| Ok((socket.local_addr()?, socket)))
        .map_err(|error| StartError::Listen { option, address, error })
}

/// Health and reflection, which are tonic's.
fn other_services(health: &HealthReporter) -> Routes {
    const VALID: &str = "the build has made the descriptors";
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that tools can show the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let health = HealthService::from_health_reporter(health.clone());
    Routes::new(HealthServer::new(health))
        .add_service(reflection().build_v1().expect(VALID))
        .add_service(reflection().build_v1alpha().expect(VALID))
        .prepare()
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

    /// Waits until the gateway ends by itself, which would be a bug.
    pub async fn ended(&mut self) {
        drop((&mut self.listener).await);
    }

    /// Takes the gateway down without losing a call: reports that it does not serve any more, waits for
    /// the mesh to notice, sends GOAWAY to clients, lets their calls finish, logs off. Takes at most the
    /// lame-duck time, the drain timeout, 2 s for the logoff, and 2 s for the last spans.
    pub async fn stop(mut self) {
        tracing::info!("stopping: calls are still taken until callers had time to notice");
        set_health(&self.health, ServingStatus::NotServing).await;
        self.readiness.set(false);
        sleep(self.settings.lame_duck).await;

        tracing::info!("draining: calls in flight may finish");
        // Ends the health watches, which would otherwise last as long as their connections.
        self.em_health.abort();
        for name in SERVICES.into_iter().chain([health::ENTERPRISE_MANAGER]) {
            self.health.clear_service_status(name).await;
        }
        self.drain.cancel();
        if let Err(error) = (&mut self.listener).await {
            tracing::error!(%error, "the listener ended badly");
        }
        self.enterprise_manager.log_off().await;
        self.export.stop().await;
        tracing::info!("stopped");
    }
}

impl Drop for RunningGateway {
    fn drop(&mut self) {
        self.listener.abort();
        self.admin.abort();
        self.reload.abort();
        self.em_health.abort();
    }
}

/// The names that health is reported under: the whole server, and its service.
const SERVICES: [&str; 2] = ["", SERVICE_NAME];

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for name in SERVICES {
        health.set_service_status(name, status).await;
    }
}
