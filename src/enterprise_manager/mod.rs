//! The client of Enterprise Manager: requests over HTTP, and strict parsing of its XML.
//!
//! Nothing here knows gRPC or command-line options: the results are EM's own model ([`Reading`],
//! [`SessionPage`], [`TaskReading`]) and EM's own kinds of errors ([`Error`]). One read goes
//! through:
//!
//! 1. `batch/` or `query/`: a method of [`EnterpriseManager`] builds a request (`read_request.rs`).
//! 2. `read.rs`: waits for a permit, takes the shared logon session, sends, and retries.
//! 3. `guard/`: the permits, the circuit breaker, the retry budget and whatever else protects EM.
//! 4. `logon/`: the one logon session, its renewal and its pauses.
//! 5. `http/`: sends one request, receives a bounded response, and classifies it.
//! 6. `xml/`: parses the document into the model of `model.rs`.
//!
//! The methods of [`EnterpriseManager`] are spread over several files: those for one session are in
//! `batch/mod.rs`, those for lists and tasks in `query/read.rs`, the common path of all reads in
//! `read.rs`, and those for `check` in `direct.rs`, which also needs `differences.rs`.

mod batch;
mod differences;
mod direct;
mod error;
mod guard;
mod http;
mod logon;
mod model;
mod query;
mod read;
mod read_request;
mod session_id;
mod xml;

use std::sync::Arc;

pub(crate) use batch::{Deadline, Wait, length_of_query};
pub(crate) use differences::differences;
pub use error::{BadResponse, CertificateFault, Error, Setting, UnusableSetting};
pub use guard::{
    CallerKey, LATELY, LastFailure, Load, ReadContext, Share, UpstreamHealth, UpstreamStatus,
    Waited, WaitingCallers,
};
pub(crate) use http::{EmResponse, ForeignBody, SPEAKS, foreign_body, resolve, shake_hands};
pub use http::{Handshake, HandshakeError, PresentedCertificate, presented_certificate};
pub use logon::LogonState;
pub use model::{
    EntityFields, Link, Reading, ReplicaSession, RunResult, SessionState, TaskReading, TaskSession,
    TaskState, View,
};
pub use query::filter::{InvalidName, Lately, MAX_NAME, Name, Period, SessionFilter};
pub use query::list::{
    ItemList, ItemPage, MAX_PAGE_SIZE, SessionList, SessionPage, TaskList, TaskPage,
};
pub use query::path::Order;
pub use query::position::{MAX_GIVEN, Position};
pub(crate) use query::selection::{Rows, Selection};
pub use query::task_filter::TaskFilter;
pub use session_id::{InvalidSessionId, SessionId, parse_id, parse_uuid};
pub(crate) use xml::parse_session_id;
pub use xml::{
    MAX_TASKS, QueryPage, parse_replica_session, parse_session_page, parse_task_list,
    parse_task_page, parse_time,
};

use crate::{
    operations::{metrics::UpstreamMetrics, traces::Traces},
    runtime::{certificates::Expiry, reload::WatchedFiles},
    settings::EnterpriseManagerSettings,
};
use batch::Batches;
pub(crate) use guard::ConcurrencyLimit;
use guard::RetryBudget;
use http::Http;
use logon::LogonManager;

/// One Enterprise Manager, and the gateway's one logon session there. Clones share everything.
#[derive(Clone)]
pub struct EnterpriseManager {
    http: Http,
    logons: Arc<LogonManager>,
    limit: ConcurrencyLimit,
    batches: Arc<Batches>,
    retry_budget: Arc<RetryBudget>,
    health: Arc<UpstreamHealth>,
    metrics: Arc<UpstreamMetrics>,
}

impl EnterpriseManager {
    /// Reads the files that the settings name, and connects to nothing: the first read logs on. Also
    /// returns these files, so that they can be watched. `seen` records when EM's certificate
    /// expires.
    ///
    /// # Errors
    ///
    /// Which setting cannot be used, and why.
    pub fn load(
        settings: EnterpriseManagerSettings,
        seen: Expiry,
        metrics: Arc<UpstreamMetrics>,
        traces: Traces,
    ) -> Result<(Self, Vec<WatchedFiles<UnusableSetting>>), UnusableSetting> {
        let (http, trust_files) = Http::load(&settings, seen, metrics.clone(), traces)?;
        let limit = ConcurrencyLimit::new(settings.concurrency, metrics.permits());
        let retry_budget = Arc::new(RetryBudget::new(settings.concurrency));
        let batches = Arc::new(Batches::new(
            settings.batch,
            metrics.batch_sessions.clone(),
            metrics.batches_suspended.clone(),
        ));
        let (logons, password_file) = LogonManager::load(http.clone(), settings, metrics.clone())?;
        let enterprise_manager =
            Self { http, logons, limit, batches, retry_budget, health: Arc::default(), metrics };
        let watched = trust_files.into_iter().chain(password_file).collect();
        Ok((enterprise_manager, watched))
    }

    /// The same Enterprise Manager, logon session and limits, with its own connections: for another
    /// runtime.
    ///
    /// # Errors
    ///
    /// Why there can be no connections.
    pub fn with_own_connections(&self) -> Result<Self, String> {
        Ok(Self { http: self.http.with_own_connections()?, ..self.clone() })
    }

    /// The recent health of Enterprise Manager.
    pub fn health(&self) -> &Arc<UpstreamHealth> {
        &self.health
    }

    /// The state of the logon session.
    pub fn logon_state(&self) -> LogonState {
        self.logons.state()
    }

    /// Whether the gateway currently tries no logon, because the last one failed.
    pub fn is_logon_paused(&self) -> bool {
        self.logons.is_logon_paused()
    }

    /// Whether requests fail at once because no connection to EM can be established.
    pub fn is_circuit_open(&self) -> bool {
        self.http.is_circuit_open()
    }

    /// How busy Enterprise Manager is with the gateway's requests.
    pub fn current_load(&self) -> Load {
        self.limit.load()
    }

    /// The same, for whoever has no connection to Enterprise Manager.
    pub(crate) fn permits(&self) -> &ConcurrencyLimit {
        &self.limit
    }

    /// Whether sessions are read together: `used`, `suspended` or `off`.
    pub fn batches(&self) -> &'static str {
        self.batches.state()
    }

    /// Counts elements that the contract has no field for.
    fn count_unmapped<'e>(&self, unmapped: impl IntoIterator<Item = (&'e String, &'e String)>) {
        for (element, _) in unmapped {
            self.metrics.unknown_value(element);
        }
    }

    /// Ends the logon session at EM, if there is one. Best effort, 2 s at most. Returns the status of
    /// EM's response, if there is one.
    pub async fn log_off(&self) -> Option<u16> {
        self.logons.log_off().await.map(|status| status.as_u16())
    }
}
