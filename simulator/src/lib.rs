//! A simulator of Veeam Backup Enterprise Manager: an HTTP server with the responses, the habits and
//! the failures of the real one, as far as replica job sessions are concerned.
//!
//! It exists because a real one needs a licence, backup servers and virtual machines, and fails too
//! rarely to test against. It shares no code with the gateway: a mistake in shared code would be on
//! both sides of every test and never be seen.
//!
//! # How a request is served
//!
//! `listener` accepts a connection, `connection` serves it, `handler` checks and routes the request,
//! `faults` decides what goes wrong, `resources` and `query` find sessions in the `catalogue`,
//! `views` turns them into a tree of elements, and `xml` or `json` writes it.
//!
//! # Where its behaviour is known from
//!
//! Module docs say which habits the vendor's documentation confirms, which are recorded from real
//! servers, and which are assumptions. Where real servers differ or are unknown, [`Options`] has a
//! choice.

mod body;
mod canned;
mod catalogue;
mod certificate;
mod clock;
mod connection;
mod element;
mod endless;
mod fault_text;
mod faults;
mod filter;
mod flaw;
mod handler;
mod json;
mod kinds;
mod lenient;
mod letters;
mod listener;
mod logons;
mod observer;
mod options;
mod pages;
mod paging;
mod properties;
mod query;
mod reply;
mod resetting;
mod resources;
mod routes;
mod running_session;
mod samples;
mod session;
mod session_views;
mod views;
mod xml;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::http::Extensions;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub use self::{
    canned::Canned,
    certificate::SelfSigned,
    fault_text::ParseFaultError,
    faults::{ErrorStatus, Extent, Fault, Kept, Latency},
    filter::{Comparison, Filter, Operator},
    flaw::{Flaw, FlawOf},
    observer::{Counts, ReceivedRequest},
    options::{Account, Generation, Layout, Options, QueryQuirks, Role, Style, TimeFormat},
    running_session::RUNNING_SESSION_ID,
    session::{Link, NamedResource, Session, Task},
};
use self::{
    canned::CannedAnswers, catalogue::Catalogue, clock::Clock, faults::Faults, logons::Logons,
    observer::Observer, views::Views,
};

/// A running simulator. Dropping it closes its listener and connections shortly afterwards;
/// [`Simulator::stop`] waits until they are closed.
pub struct Simulator {
    address: SocketAddr,
    is_tls: bool,
    shared: Arc<Shared>,
    /// Dropped to stop.
    stop: oneshot::Sender<()>,
    listening: JoinHandle<()>,
}

/// What all requests share.
struct Shared {
    clock: Clock,
    catalogue: Catalogue,
    logons: Logons,
    faults: Faults,
    canned: CannedAnswers,
    views: Views,
    listed_for: Duration,
    longest_target: usize,
    query: QueryQuirks,
    /// See [`letters`].
    letters: Extensions,
    observer: Arc<Observer>,
}

impl Shared {
    fn new(options: Options, letters: Extensions) -> Self {
        let clock = Clock::start();
        Self {
            catalogue: Catalogue::new(clock.started_at(), &options),
            clock,
            logons: Logons::new(options.accounts, options.idle_timeout, options.opaque_tokens),
            faults: Faults::new(options.faults),
            canned: CannedAnswers::default(),
            views: Views::new(options.style, options.href_host),
            listed_for: options.listed_for,
            longest_target: options.longest_target,
            query: options.query,
            letters,
            observer: Arc::default(),
        }
    }
}

/// The XML document at `target`, such as `/api/query?type=ReplicaJobSession`, that a simulator with
/// these options would serve right after its start. Needs no socket and ignores faults. `None` if
/// the response would be an error.
#[must_use]
pub fn document(options: Options, target: &str) -> Option<Vec<u8>> {
    resources::document(&Shared::new(options, Extensions::new()), target)
}

impl Simulator {
    /// Starts a simulator within the current tokio runtime.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let tls = options.tls.clone();
        let is_tls = tls.is_some();
        let shared = Arc::new(Shared::new(options, letters::recorded().await));
        let (stop, stopped) = oneshot::channel();
        let serving = listener::serve(listener, tls, Arc::clone(&shared), stopped);
        Ok(Self { address, is_tls, shared, stop, listening: tokio::spawn(serving) })
    }

    /// Closes the listener and all connections, including those with requests in flight. When this
    /// returns, another simulator can be started on the same address.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.listening.await {
            tracing::error!(%error, "the simulator's listener panicked");
        }
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to configure in a client, without a path. With TLS the host is `localhost`, so that a
    /// certificate for this name fits.
    #[must_use]
    pub fn url(&self) -> String {
        if self.is_tls {
            format!("https://localhost:{}", self.address.port())
        } else {
            format!("http://{}", self.address)
        }
    }

    /// The active faults, with the remaining counts of counted ones.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.faults.left()
    }

    /// Replaces all faults. If several replace the response, the first active one wins.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults.set(faults.into_iter().collect());
    }

    /// Sets the response to authenticated reads of the session with this id, as entity or as
    /// reference. The session need not exist.
    pub fn answer_with(&self, id: &str, canned: Canned) {
        self.shared.canned.set_session(id, canned);
    }

    /// Sets whether authenticated reads of the session with this id are accepted and not answered, while all
    /// other requests are.
    pub fn set_silent(&self, id: &str, is_silent: bool) {
        self.shared.canned.set_silent(id, is_silent);
    }

    /// Sets the response to every logon, or with `None` removes it. Such a response opens no logon
    /// session and is not counted as a logon.
    pub fn answer_logon_with(&self, canned: impl Into<Option<Canned>>) {
        self.shared.canned.set_logon(canned.into());
    }

    /// Sets the response to authenticated reads of the tasks of the session with this id. The
    /// session need not exist.
    pub fn answer_tasks_with(&self, id: &str, canned: Canned) {
        self.shared.canned.set_tasks(id, canned);
    }

    /// Sets the response to every authenticated query, or with `None` removes it.
    pub fn answer_query_with(&self, canned: impl Into<Option<Canned>>) {
        self.shared.canned.set_query(canned.into());
    }

    /// Adds this session, or replaces the one with its id, from the next request on: as when Enterprise
    /// Manager has collected it.
    pub fn set_session(&self, session: Session) {
        self.shared.catalogue.set(session.id.clone(), Some(session));
    }

    /// Removes the session with this lower-case id, as after its retention.
    pub fn remove_session(&self, id: &str) {
        self.shared.catalogue.set(id.to_owned(), None);
    }

    /// Invalidates all tokens, as a restart of the service presumably does.
    pub fn invalidate_tokens(&self) {
        self.shared.logons.invalidate();
    }

    /// Changes the password of an account. Open logon sessions stay open.
    pub fn set_password(&self, user: &str, password: &str) {
        self.shared.logons.change(user, |account| password.clone_into(&mut account.password));
    }

    /// Changes the role of an account. Affects open logon sessions, too.
    pub fn set_role(&self, user: &str, role: Role) {
        self.shared.logons.change(user, |account| account.role = role);
    }

    /// Moves the simulator's clock forward: logon sessions become idle, and the running session
    /// advances. Faults use real time.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// The counters since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.observer.counts()
    }

    /// The last 1024 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.observer.received()
    }
}
