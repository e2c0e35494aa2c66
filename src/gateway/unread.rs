//! Reads and discards the rest of a refused request.
//!
//! If a response is sent before its request has been read, h2 resets the stream and counts what
//! arrives on it later as an error of the peer. Enough errors end the connection, so a client that
//! does nothing worse than call too often would lose all its other calls.

use std::{future::poll_fn, pin::pin, time::Duration};

use bytes::Bytes;
use hyper::body::Body as HttpBody;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;

use super::messages::LONGEST_BODY;

/// How long to wait for the rest, which usually follows right after the headers.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Reads the rest of `body` if a request can be as long, and if it arrives within 1 s and before the call's deadline.
pub(super) async fn discard(body: Body, deadline: Instant) {
    let rest = async {
        let mut body = pin!(body);
        let mut taken = 0;
        while let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            taken += frame.data_ref().map_or(0, Bytes::len);
            if taken > LONGEST_BODY {
                break;
            }
        }
    };
    // The call is refused even if the rest does not arrive in time.
    let _ = timeout_at(deadline.min(Instant::now() + TIMEOUT), rest).await;
}
