//! Reads the rest of a request that is refused, and discards it.
//!
//! HTTP/2 resets a stream whose response is sent before its request has been read, and counts what
//! arrives on it later as a fault of the peer. Enough faults end the connection: a client whose only
//! fault is to ask for too much would lose all its other calls.

use std::{future::poll_fn, pin::pin, time::Duration};

use bytes::Bytes;
use hyper::body::Body as HttpBody;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;

/// How long to wait for the rest, which usually comes right behind the head.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Most that is read, in bytes. The longest request that makes sense has 5000.
const MAX_BYTES: usize = 16 * 1024;

/// Reads the rest of `body` if it is short and comes before the call's deadline and within 1 s.
pub(super) async fn discard(body: Body, deadline: Instant) {
    let rest = async {
        let mut body = pin!(body);
        let mut taken = 0;
        while let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            taken += frame.data_ref().map_or(0, Bytes::len);
            if taken > MAX_BYTES {
                break;
            }
        }
    };
    // If the time is over, the call is refused all the same.
    let _ = timeout_at(deadline.min(Instant::now() + TIMEOUT), rest).await;
}
