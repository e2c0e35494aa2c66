//! A simulator of Veeam Backup Enterprise Manager: an HTTP server with the answers, the habits and
//! the failings of the real one, as far as replica job sessions go.
//!
//! It shares no code with the gateway: what reads its answers in a test must not have written them.

mod answers;
mod body;
mod canned;
mod catalogue;
mod clock;
mod element;
mod fault_text;
mod faults;
mod filter;
mod json;
mod listener;
mod logons;
mod observe;
mod options;
mod pages;
mod properties;
mod query;
mod reply;
mod resources;
mod routes;
mod running;
mod samples;
mod session;
mod session_views;
mod views;
mod xml;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub use self::{
    canned::Canned,
    fault_text::FaultError,
    faults::{ErrorStatus, Extent, Fault, Latency},
    filter::{Comparison, Filter, Operator},
    observe::{Counts, Received},
    options::{Account, Generation, Options, QueryHabits, Role, Style, Times},
    running::RUNNING_SESSION_ID,
    session::{Link, Named, Session, Task},
};
use self::{
    canned::CannedAnswers, catalogue::Catalogue, clock::Clock, faults::Faults, logons::Logons,
    observe::Observer, views::Views,
};

/// A running simulator. Dropping it closes its listener and its connections soon after; only
/// [`Simulator::stop`] tells when.
pub struct Simulator {
    address: SocketAddr,
    is_tls: bool,
    state: Arc<State>,
    /// Dropped to stop.
    stop: oneshot::Sender<()>,
    listening: JoinHandle<()>,
}

/// Everything that requests share.
struct State {
    clock: Clock,
    catalogue: Catalogue,
    logons: Logons,
    faults: Faults,
    canned: CannedAnswers,
    views: Views,
    listed_for: Duration,
    query: QueryHabits,
    observer: Arc<Observer>,
}

impl State {
    fn new(options: Options) -> Self {
        let clock = Clock::start();
        Self {
            catalogue: Catalogue::new(clock.started_at(), &options),
            clock,
            logons: Logons::new(options.accounts, options.idle_timeout),
            faults: Faults::new(options.faults),
            canned: CannedAnswers::default(),
            views: Views::new(options.style, options.href_host),
            listed_for: options.listed_for,
            query: options.query,
            observer: Arc::default(),
        }
    }
}

/// The document that a simulator of these options gives to who reads `target`, such as
/// `/api/query?type=ReplicaJobSession`, with a token: without sockets, faults or time passing. None
/// where it would give an error.
#[must_use]
pub fn document(options: Options, target: &str) -> Option<Vec<u8>> {
    resources::document(&State::new(options), target)
}

impl Simulator {
    /// Starts a simulator within the current tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let tls = options.tls.clone();
        let is_tls = tls.is_some();
        let state = Arc::new(State::new(options));
        let (stop, stopped) = oneshot::channel();
        let serving = listener::serve(listener, tls, Arc::clone(&state), stopped);
        Ok(Self {
            address,
            is_tls,
            state,
            stop,
            listening: tokio::spawn(serving),
        })
    }

    /// Stops: when this returns, the listener and all connections are closed, answered or not, and
    /// another simulator can be started on the same address.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.listening.await {
            tracing::error!(%error, "the simulator's listener had failed");
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Scheme, host and port. With TLS the host is `localhost`, for the certificate's sake.
    #[must_use]
    pub fn url(&self) -> String {
        if self.is_tls {
            format!("https://localhost:{}", self.address.port())
        } else {
            format!("http://{}", self.address)
        }
    }

    /// The faults in force, with what is left of counted ones.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.state.faults.left()
    }

    /// Replaces all faults; the first of several answers instead of the right one wins.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.faults.set(faults.into_iter().collect());
    }

    /// Prescribes the answer to authenticated reads of the session with this id, in any form. The
    /// id need not be in the catalogue.
    pub fn answer_with(&self, id: &str, canned: Canned) {
        self.state.canned.set_session(id, canned);
    }

    /// Prescribes the answer to every logon, or with `None` no longer. Such answers open no logon
    /// session and are not counted as logons.
    pub fn answer_logon_with(&self, canned: impl Into<Option<Canned>>) {
        self.state.canned.set_logon(canned.into());
    }

    /// Prescribes the answer to authenticated reads of the list of tasks of the session with this
    /// id. The id need not be in the catalogue.
    pub fn answer_tasks_with(&self, id: &str, canned: Canned) {
        self.state.canned.set_tasks(id, canned);
    }

    /// Prescribes the answer to every authenticated query, or with `None` no longer.
    pub fn answer_query_with(&self, canned: impl Into<Option<Canned>>) {
        self.state.canned.set_query(canned.into());
    }

    /// Makes all tokens invalid, as a restart of the service does.
    pub fn invalidate_tokens(&self) {
        self.state.logons.invalidate();
    }

    /// Changes the password of an account. Open logon sessions stay open.
    pub fn set_password(&self, user: &str, password: &str) {
        self.state
            .logons
            .change(user, |account| password.clone_into(&mut account.password));
    }

    /// Changes the role of an account, in open logon sessions too.
    pub fn set_role(&self, user: &str, role: Role) {
        self.state
            .logons
            .change(user, |account| account.role = role);
    }

    /// Pushes the simulator's clock forward: logon sessions grow idle, and the running session
    /// advances. Faults keep to real time.
    pub fn advance(&self, by: Duration) {
        self.state.clock.advance(by);
    }

    /// What it has been asked so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.observer.counts()
    }

    /// The last 1024 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.state.observer.received()
    }
}
