//! Builds the rooms, connects them, runs them, and takes them down again.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::{server::NamedService, service::Routes};
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

use crate::{
    enterprise_manager::{EnterpriseManager, Setting, UnusableSetting},
    gateway::{CallLimits, Calls, Gateway, OnlyAllowed, PageTokens, Services},
    listener::{self, Tls, Worker},
    operations::{
        admin, health,
        metrics::Metrics,
        readiness::Readiness,
        status::Status,
        traces::{self, Export},
    },
    proto::{FILE_DESCRIPTOR_SET, v1::replica_session_service_server::ReplicaSessionServiceServer},
    runtime::{certificates::Expiry, reload, workers::Workers},
    settings::{EM_CA_FILE, EM_PASSWORD_FILE, EM_PIN_FILE, SettingError, Settings},
    sharing::{ReadRegistry, SharedReads},
    watching::{PollerRegistry, Watching},
};

/// Largest request accepted, in bytes. A `Get` takes below 100, a `List` with everything 5000.
const MAX_REQUEST: usize = 64 * 1024;

type SessionService = Calls<ReplicaSessionServiceServer<Gateway>>;

/// A gateway that runs.
pub struct Running {
    address: SocketAddr,
    admin_address: SocketAddr,
    settings: Settings,
    enterprise_manager: EnterpriseManager,
    health: HealthReporter,
    readiness: Readiness,
    drain: CancellationToken,
    listener: JoinHandle<()>,
    /// Dropped last: they run what the others wait for.
    _threads: Workers,
    admin: JoinHandle<()>,
    reload: JoinHandle<()>,
    em_health: JoinHandle<()>,
    export: Export,
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
    #[error("--workers: not so many threads can be started: {0}")]
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

/// Starts a gateway. Enterprise Manager is not asked for anything before the first call.
///
/// # Errors
///
/// When an address cannot be listened on, or the certificates to trust cannot be used.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    // First, since it needs no port: whatever is wrong with the settings is told before anything
    // else goes wrong.
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
    let mut files: Vec<_> = em_files
        .into_iter()
        .map(|files| files.map_err(SettingError::from))
        .collect();
    let mut tls = None;
    if let Some(settings) = settings.tls.clone() {
        let (acceptor, tls_files) = Tls::load(settings, own_expiry.clone())?;
        files.extend(tls_files);
        tls = Some(acceptor);
    }

    let listen = |option, address| async move {
        TcpListener::bind(address)
            .await
            .and_then(|listener| Ok((listener.local_addr()?, listener)))
            .map_err(|error| StartError::Listen {
                option,
                address,
                error,
            })
    };
    let (address, callers) = listen("--listen", settings.listen).await?;
    let (admin_address, operators) = listen("--admin-listen", settings.admin_listen).await?;

    let calls = CallLimits::new(
        settings.calls,
        metrics.clone(),
        traces.clone(),
        SessionService::NAME,
    );
    let registry = ReadRegistry::new(settings.reuse, metrics.reads());
    let places = settings.enterprise_manager.concurrency;
    let pollers = PollerRegistry::new(settings.watch, places, metrics.clone(), traces);
    let tokens = PageTokens::new(&settings.page_token_secret());
    let reporter = HealthReporter::new();
    set_health(&reporter, ServingStatus::Serving).await;
    let threads = Workers::start(settings.workers).map_err(StartError::Threads)?;
    let workers = threads.handles().iter().map(|runtime| {
        let enterprise_manager = enterprise_manager.with_own_connections()?;
        let reads = SharedReads::new(enterprise_manager, registry.clone());
        let watching = Watching::new(reads.clone(), pollers.clone());
        let sessions = Gateway::new(reads, watching, tokens.clone(), metrics.clone());
        Ok(Worker {
            runtime: runtime.clone(),
            service: OnlyAllowed::new(services(sessions, &calls, &reporter), calls.clone()),
        })
    });
    let workers = workers.collect::<Result<Vec<_>, _>>();
    let workers = workers.map_err(StartError::Connections)?;

    let drain = CancellationToken::new();
    let listener = listener::run(
        callers,
        tls,
        workers,
        settings.listener,
        drain.clone(),
        metrics.clone(),
    );
    let listener = tokio::spawn(listener);
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
    let admin = tokio::spawn(admin::serve(operators, routes));
    let standing = enterprise_manager.standing().clone();
    let em_health = health::watch_enterprise_manager(reporter.clone(), standing);
    let em_health = tokio::spawn(em_health);
    settings.in_effect.log();
    tracing::info!(%address, %admin_address, enterprise_manager = %settings.enterprise_manager.url, "serving");
    Ok(Running {
        address,
        admin_address,
        settings,
        enterprise_manager,
        health: reporter,
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

/// Everything that callers can call, through one worker's connections to EM.
fn services(
    sessions: Gateway,
    calls: &Arc<CallLimits>,
    health: &HealthReporter,
) -> Services<SessionService> {
    let sessions =
        ReplicaSessionServiceServer::new(sessions).max_decoding_message_size(MAX_REQUEST);
    let health = HealthServer::new(HealthService::from_health_reporter(health.clone()));
    let others = Routes::new(health)
        .add_service(reflection().build_v1().expect(DESCRIPTORS_ARE_VALID))
        .add_service(reflection().build_v1alpha().expect(DESCRIPTORS_ARE_VALID))
        .prepare();
    Services::new(Calls::new(sessions, calls.clone()), others)
}

impl Running {
    /// Where callers connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators look.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Waits until the gateway ends by itself, which it does only by a bug.
    pub async fn ended(&mut self) {
        drop((&mut self.listener).await);
    }

    /// Takes the gateway down without losing a call: says that it does not serve any more, waits
    /// for the mesh to notice, sends callers away, lets their calls finish, logs off. Takes at
    /// most the lame-duck time, the drain timeout, the 2 s that a logoff may take, and the 2 s that
    /// the last spans of traces may take.
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

impl Drop for Running {
    fn drop(&mut self) {
        self.listener.abort();
        self.admin.abort();
        self.reload.abort();
        self.em_health.abort();
    }
}

/// The names that health is reported under: the whole server, and its service.
const SERVICES: [&str; 2] = ["", SessionService::NAME];

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for name in SERVICES {
        health.set_service_status(name, status).await;
    }
}

const DESCRIPTORS_ARE_VALID: &str = "the build has made the descriptors";

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // So that tools can show the details of errors.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
