//! Accounts and logon sessions: credentials, tokens, idle expiry.
//!
//! Header, cookie, challenge, the separate id for the logoff, and that the cookie takes precedence
//! over the header: confirmed by the vendor's documentation. A token is the base64 of the text of
//! `SessionId`, which several public clients rely on up to release 12, or by choice the base64 of 16
//! random bytes, the other form in published bodies. A bare user name is accepted and answered by the
//! full one: from a public client.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, COOKIE},
};
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use crate::options::{Account, Role};

/// The header, and the cookie, that carries a token.
pub(crate) const TOKEN_HEADER: &str = "X-RestSvcSessionId";

/// A logon session.
#[derive(Clone)]
pub(crate) struct LogonSession {
    /// Authenticates requests.
    pub token: String,
    /// Identifies the logon session in URLs.
    pub session_id: String,
    /// The name of the account.
    pub user: String,
    last_used: Duration,
}

/// The accounts and their open logon sessions. Times are uptimes.
pub(crate) struct Logons {
    idle_timeout: Duration,
    opaque_tokens: bool,
    table: Mutex<Table>,
}

/// The outcome of a logon.
pub(crate) enum Logon {
    Accepted(LogonSession),
    /// The credentials are wrong or missing.
    Rejected,
    /// They are right, and the account has no role.
    NoRole,
}

struct Table {
    accounts: Vec<Account>,
    open: Vec<LogonSession>,
}

impl Logons {
    /// These accounts, without logon sessions.
    pub(crate) fn new(accounts: Vec<Account>, idle_timeout: Duration, opaque_tokens: bool) -> Self {
        let table = Mutex::new(Table { accounts, open: Vec::new() });
        Self { idle_timeout, opaque_tokens, table }
    }

    /// Opens a logon session for the Basic credentials in these headers, if they are valid.
    pub(crate) fn log_on(&self, headers: &HeaderMap, now: Duration) -> Logon {
        let Some((user, password)) = basic_credentials(headers) else {
            return Logon::Rejected;
        };
        let mut table = self.table_at(now);
        let account = match table.account(&user) {
            Some(account) if account.password == password => account.clone(),
            _ => return Logon::Rejected,
        };
        if account.role == Role::None {
            return Logon::NoRole;
        }
        let session_id = Uuid::new_v4().to_string();
        let token = if self.opaque_tokens {
            BASE64_STANDARD.encode(Uuid::new_v4().as_bytes())
        } else {
            BASE64_STANDARD.encode(&session_id)
        };
        let logon = LogonSession { token, session_id, user: account.user, last_used: now };
        table.open.push(logon.clone());
        Logon::Accepted(logon)
    }

    /// The role of the account behind the token in these headers, if the token is valid. Resets its
    /// idle time.
    pub(crate) fn authenticate(&self, headers: &HeaderMap, now: Duration) -> Option<Role> {
        let token = presented_token(headers)?;
        let mut table = self.table_at(now);
        let logon = table.open.iter_mut().find(|logon| logon.token == token)?;
        logon.last_used = now;
        let user = logon.user.clone();
        table.account(&user).map(|account| account.role)
    }

    /// All open logon sessions, oldest first.
    pub(crate) fn list(&self, now: Duration) -> Vec<LogonSession> {
        self.table_at(now).open.clone()
    }

    /// Ends the logon session with this id. Returns whether there was one.
    pub(crate) fn log_off(&self, session_id: &str, now: Duration) -> bool {
        let mut table = self.table_at(now);
        let before = table.open.len();
        table.open.retain(|logon| logon.session_id != session_id);
        table.open.len() < before
    }

    /// Ends all logon sessions, as a restart of the service does.
    pub(crate) fn invalidate(&self) {
        self.lock().open.clear();
    }

    /// Changes the account with this name, if there is one.
    pub(crate) fn change(&self, user: &str, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.lock().account(user) {
            change(account);
        } else {
            tracing::warn!(user, "no such account in the simulator");
        }
    }

    /// The table, after removing logon sessions that have expired by `now`.
    fn table_at(&self, now: Duration) -> MutexGuard<'_, Table> {
        let mut table = self.lock();
        let idle_timeout = self.idle_timeout;
        table.open.retain(|logon| now.saturating_sub(logon.last_used) < idle_timeout);
        table
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

impl Table {
    /// The account with this name, with or without its domain, ignoring letter case.
    fn account(&mut self, user: &str) -> Option<&mut Account> {
        let user = user.to_lowercase();
        self.accounts.iter_mut().find(|account| {
            let name = account.user.to_lowercase();
            name == user || name.rsplit_once('\\').is_some_and(|(_, bare)| bare == user)
        })
    }
}

/// The token of a request. A cookie takes precedence over the header.
fn presented_token(headers: &HeaderMap) -> Option<&str> {
    let cookie = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        // Tokens may contain `=`: only the first one separates.
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
