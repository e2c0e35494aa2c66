//! Tells the service manager when the gateway serves and when it stops, by the protocol of systemd's
//! `Type=notify`: a unit is started once callers can connect, and not before.
//!
//! Without `NOTIFY_SOCKET` in the environment there is no such manager, and nothing is sent.

use std::{env, io, time::Duration};

use sd_notify::NotifyState;
use tokio::{task, time};

/// How long the manager may take to read what it was sent before.
const LIMIT: Duration = Duration::from_secs(2);

/// The gateway accepts calls.
pub(super) async fn ready() {
    tell(NotifyState::Ready).await;
}

/// The gateway has begun to stop.
pub(super) async fn stopping() {
    tell(NotifyState::Stopping).await;
}

/// Sends a state. If that fails, it is logged: the manager then ends the gateway when its own limit is
/// over, which nobody could explain otherwise.
async fn tell(state: NotifyState<'static>) {
    if env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    // Sending blocks while the manager's socket is full.
    let sending = task::spawn_blocking(move || sd_notify::notify(&[state]));
    let sent = match time::timeout(LIMIT, sending).await {
        Ok(sent) => sent.unwrap_or_else(|panic| Err(io::Error::other(panic))),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager at NOTIFY_SOCKET cannot be told");
    }
}
