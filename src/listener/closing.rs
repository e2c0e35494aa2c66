//! Closes a connection so that the peer gets everything that has been sent to it.
//!
//! Whoever closes a socket while something from the peer is unread, or still arrives, makes the kernel reset
//! the connection. A peer that is told of a reset may throw away answers that have reached it and that it
//! has not read yet: proxies do. HTTP/2 peers acknowledge windows all the time, so at the end of a busy
//! connection something always arrives. Therefore the gateway ends its own direction first, and reads
//! and drops what comes until the peer ends the other one.
//!
//! `SO_LINGER` does not help: it is about what has been sent, not about what has been received.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

/// How long the peer may take to end its direction: time for a lost segment to be sent again, and for a
/// busy peer to look. A peer that is gone is not waited for any longer.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// The most that is read, in bytes: the flow-control window of a connection, and as much again for the
/// frames that need no window. Only a peer that does not care about the end sends more.
const LINGER_BYTES: usize = 2 * 1024 * 1024;

/// Ends this direction, with a `close_notify` if it is TLS, and drops what the peer sends until it ends the
/// other one, within limits. The connection is closed when `io` is dropped.
pub(super) async fn close(io: impl AsyncRead + AsyncWrite + Unpin) {
    // Whether the peer has ended its direction or broken the connection makes no difference any more.
    drop(timeout(LINGER_TIME, read_out(io)).await);
}

async fn read_out(mut io: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    io.shutdown().await?;
    // Not in the future: every open connection has one.
    let mut dropped = vec![0; 4096];
    let mut left = LINGER_BYTES;
    while left > 0 {
        match io.read(&mut dropped).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}
