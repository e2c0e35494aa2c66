//! Who is logged on: accounts, tokens, idle expiry.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, COOKIE},
};
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::options::{Account, Role};

/// The header, and the cookie, that carries a token.
pub(super) const TOKEN_HEADER: &str = "X-RestSvcSessionId";

/// A logon session.
#[derive(Clone)]
pub(super) struct Logon {
    /// What authenticates requests: the base64 of 16 random bytes.
    pub token: String,
    /// What names the logon session in URLs; it says nothing about the token.
    pub session_id: String,
    /// The name of the account.
    pub user: String,
    last_used: Duration,
}

/// Accounts and the logon sessions they have opened. Times are uptimes.
pub(super) struct Logons {
    idle_timeout: Duration,
    state: Mutex<State>,
}

struct State {
    accounts: Vec<Account>,
    live: Vec<Logon>,
}

impl Logons {
    /// Nobody is logged on yet.
    pub(super) fn new(accounts: Vec<Account>, idle_timeout: Duration) -> Self {
        Self {
            idle_timeout,
            state: Mutex::new(State {
                accounts,
                live: Vec::new(),
            }),
        }
    }

    /// Opens a logon session for the Basic credentials in these headers, if they are good.
    pub(super) fn log_on(&self, headers: &HeaderMap, now: Duration) -> Option<Logon> {
        let (user, password) = basic_credentials(headers)?;
        let mut state = self.live_at(now);
        let account = state.account(&user)?;
        if account.password != password {
            return None;
        }
        let logon = Logon {
            token: BASE64_STANDARD.encode(Uuid::new_v4().as_bytes()),
            session_id: Uuid::new_v4().to_string(),
            user: account.user.clone(),
            last_used: now,
        };
        state.live.push(logon.clone());
        Some(logon)
    }

    /// The role of whoever sent these headers, if their token is live. Its idle time starts anew.
    pub(super) fn authenticate(&self, headers: &HeaderMap, now: Duration) -> Option<Role> {
        let token = presented_token(headers)?;
        let mut state = self.live_at(now);
        let logon = state.live.iter_mut().find(|logon| logon.token == token)?;
        logon.last_used = now;
        let user = logon.user.clone();
        state.account(&user).map(|account| account.role)
    }

    /// All live logon sessions, oldest first.
    pub(super) fn list(&self, now: Duration) -> Vec<Logon> {
        self.live_at(now).live.clone()
    }

    /// Ends the logon session with this id, and tells whether there was one.
    pub(super) fn log_off(&self, session_id: &str, now: Duration) -> bool {
        let mut state = self.live_at(now);
        let before = state.live.len();
        state.live.retain(|logon| logon.session_id != session_id);
        state.live.len() < before
    }

    /// Ends all logon sessions, as a restart of the service does.
    pub(super) fn invalidate(&self) {
        self.lock().live.clear();
    }

    /// Changes an account; does nothing when there is none of this name.
    pub(super) fn change(&self, user: &str, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.lock().account(user) {
            change(account);
        } else {
            tracing::warn!(user, "no such account in the simulator");
        }
    }

    /// The state, rid of logon sessions that have expired by `now`.
    fn live_at(&self, now: Duration) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let idle_timeout = self.idle_timeout;
        state
            .live
            .retain(|logon| now.saturating_sub(logon.last_used) < idle_timeout);
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// The account of this name, whatever its letter case.
    fn account(&mut self, user: &str) -> Option<&mut Account> {
        let user = user.to_lowercase();
        self.accounts
            .iter_mut()
            .find(|account| account.user.to_lowercase() == user)
    }
}

/// The token that a request presents. A cookie wins over the header, as on a real server.
fn presented_token(headers: &HeaderMap) -> Option<&str> {
    let cookie = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        // Tokens end in `=`: only the first one separates.
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, token)| name.eq_ignore_ascii_case(TOKEN_HEADER).then_some(token));
    cookie.or_else(|| headers.get(TOKEN_HEADER)?.to_str().ok())
}

/// User and password of an `Authorization: Basic` header.
fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
