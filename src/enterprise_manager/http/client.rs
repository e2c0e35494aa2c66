//! Pools of connections to Enterprise Manager.
//!
//! Each runtime has its own pool, because the runtime that opens a connection also drives it.
//! reqwest fixes the TLS settings when it builds a client. Therefore a change of trust replaces all
//! clients: open connections were verified under the old settings, and resumed TLS sessions are not
//! verified again.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::{
    Client,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue},
    redirect,
};
use rustls::ClientConfig;
use tokio::sync::watch;

use super::exchange::Connection;
use crate::enterprise_manager::error::cause_excerpt;

/// How long it may take to establish a connection, including the TLS handshake.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// After how much silence a connection is probed, and the interval between probes.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long an unused connection is kept: well below the 120 s after which HTTP.sys closes it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The pool of one runtime; clones share it.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPool {
    clients: watch::Receiver<Clients>,
    all: Arc<Mutex<Pools>>,
}

/// What a runtime sends requests with.
#[derive(Debug, Clone)]
struct Clients {
    /// Keeps connections.
    keeping: Client,
    /// Opens a connection for each request and keeps none.
    opening: Client,
}

/// The pools of all runtimes.
#[derive(Debug)]
struct Pools {
    /// All pools share it, and with it the TLS sessions that can be resumed.
    tls: ClientConfig,
    clients: Vec<watch::Sender<Clients>>,
}

impl ConnectionPool {
    /// The first pool. It connects to nothing yet.
    pub(super) fn new(tls: ClientConfig) -> Result<Self, String> {
        let (sender, clients) = watch::channel(Clients::new(&tls)?);
        let all = Pools { tls, clients: vec![sender] };
        Ok(Self { clients, all: Arc::new(Mutex::new(all)) })
    }

    /// Another pool with the same settings.
    pub(super) fn sibling(&self) -> Result<Self, String> {
        let mut all = self.all.lock();
        let (sender, clients) = watch::channel(Clients::new(&all.tls)?);
        all.clients.push(sender);
        Ok(Self { clients, all: self.all.clone() })
    }

    /// Replaces all pools, so that later requests use `tls`. Requests in flight are not affected.
    ///
    /// # Errors
    ///
    /// Why no client can be built. In that case nothing changes.
    pub(super) fn replace_all(&self, tls: ClientConfig) -> Result<(), String> {
        let mut all = self.all.lock();
        let new = all.clients.iter().map(|_| Clients::new(&tls));
        let new = new.collect::<Result<Vec<_>, _>>()?;
        for (sender, client) in all.clients.iter().zip(new) {
            sender.send_replace(client);
        }
        all.tls = tls;
        Ok(())
    }

    /// The client to send the next request with.
    pub(super) fn client(&self, connection: Connection) -> Client {
        let clients = self.clients.borrow();
        match connection {
            Connection::Any => clients.keeping.clone(),
            Connection::New => clients.opening.clone(),
        }
    }
}

impl Clients {
    fn new(tls: &ClientConfig) -> Result<Self, String> {
        let keeping = new_client(tls.clone(), usize::MAX)?;
        let opening = new_client(tls.clone(), 0)?;
        Ok(Self { keeping, opening })
    }
}

fn new_client(tls: ClientConfig, max_kept: usize) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .pool_max_idle_per_host(max_kept)
        .default_headers(HeaderMap::from_iter([
            // Exactly this: any mention of JSON makes EM answer in JSON.
            (ACCEPT, HeaderValue::from_static("application/xml")),
            // Without it, proxies may compress answers.
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        ]))
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        // EM never redirects, and reqwest would send the token to another host.
        .redirect(redirect::Policy::none())
        .no_proxy()
        // reqwest retries without back-off; the retry budget decides instead.
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_only()
        .tcp_nodelay(true)
        // Detects that the machine is gone while nothing is sent to it.
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_keepalive_interval(KEEP_ALIVE)
        .build()
        .map_err(|error| cause_excerpt(&error))
}
