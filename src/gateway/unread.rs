//! Takes what is still to come of a request that is refused.
//!
//! A stream whose answer is sent before its request has been read is reset, and what arrives on it
//! later counts as a fault of the peer: enough of these, and HTTP/2 ends the connection. Callers
//! that have done nothing but ask too much would lose it with all their other calls.

use std::{future::poll_fn, pin::pin, time::Duration};

use bytes::Bytes;
use hyper::body::Body as HttpBody;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;

use super::context::CallContext;

/// How long to wait for the rest, which as a rule comes right behind the head.
const TIME: Duration = Duration::from_secs(1);

/// Most of it that is taken, in bytes. The longest request that makes sense has 5000.
const SIZE: usize = 16 * 1024;

/// Takes the rest of `body`, as long as it is short and comes soon, before the call's deadline.
pub(super) async fn take(body: Body, call: &CallContext) {
    let rest = async {
        let mut body = pin!(body);
        let mut taken = 0;
        while let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            taken += frame.data_ref().map_or(0, Bytes::len);
            if taken > SIZE {
                break;
            }
        }
    };
    // In vain: then it is as if nothing had been taken.
    let soon = Instant::now() + TIME;
    let deadline = call.deadline.ok().flatten();
    let _ = timeout_at(deadline.map_or(soon, |deadline| deadline.min(soon)), rest).await;
}
