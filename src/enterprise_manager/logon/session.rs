//! One logon session: what EM gives for the password.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::header::HeaderValue;
use tokio::time::Instant;
use uuid::Uuid;

/// One logon session at EM.
#[derive(Debug)]
pub(crate) struct LogonSession {
    /// The token, byte for byte as EM gave it.
    pub(crate) token: HeaderValue,
    /// The id to end the session with, which is not the token.
    pub(super) id: Option<Uuid>,
    pub(super) since: Instant,
    /// Whether EM has accepted the token in any request.
    is_accepted: AtomicBool,
}

impl LogonSession {
    pub(super) fn new(mut token: HeaderValue, id: Option<Uuid>) -> Self {
        token.set_sensitive(true);
        Self { token, id, since: Instant::now(), is_accepted: AtomicBool::new(false) }
    }

    /// Whether EM has accepted the token in any request.
    pub(super) fn is_accepted(&self) -> bool {
        self.is_accepted.load(Ordering::Relaxed)
    }

    /// EM has accepted the token. Returns whether that is news.
    pub(super) fn accept(&self) -> bool {
        !self.is_accepted.swap(true, Ordering::Relaxed)
    }
}
