//! The calls on one connection whose answers have not been sent to their end.
//!
//! HTTP/2 lets a peer take answers as slowly as it likes, or never. So two things have to be known
//! of a connection: whether there is something to finish before it may end, and whether its peer
//! still reads.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::{sync::Notify, time::sleep};
use tonic::{Status, body::Body};

/// The open calls of one connection. It travels in the extensions of the connection's requests, so
/// that the service can tell which calls are worth waiting for.
#[derive(Debug, Clone, Default)]
pub struct OpenCalls(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    open: AtomicUsize,
    unsent: AtomicUsize,
    /// Grows with every piece of an answer that is taken.
    progress: AtomicUsize,
    end: Notify,
}

/// One open call. It ends when this is dropped.
#[derive(Debug)]
pub struct OpenCall {
    calls: OpenCalls,
    is_unsent: bool,
}

impl OpenCalls {
    /// A call begins.
    pub fn begin(&self) -> OpenCall {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        OpenCall {
            calls: self.clone(),
            is_unsent: false,
        }
    }

    /// Waits until no call is open.
    pub(super) async fn all_ended(&self) {
        loop {
            let end = self.0.end.notified();
            if self.0.open.load(Ordering::Acquire) == 0 {
                return;
            }
            end.await;
        }
    }

    /// Returns when answers have been ready for `time` and the peer has taken nothing of them.
    pub(super) async fn stalled(&self, time: Duration) {
        let mut seen = None;
        loop {
            sleep(time).await;
            let progress = self.0.progress.load(Ordering::Relaxed);
            let is_waiting = self.0.unsent.load(Ordering::Relaxed) > 0;
            if is_waiting && seen == Some(progress) {
                return;
            }
            seen = is_waiting.then_some(progress);
        }
    }
}

impl OpenCall {
    /// The call is answered with `body`; it stays open, and `held` is held, until that is sent.
    pub fn send(mut self, body: Body, held: impl Send + Unpin + 'static) -> Body {
        self.is_unsent = true;
        self.calls.0.unsent.fetch_add(1, Ordering::Relaxed);
        Body::new(Sending {
            body,
            call: self,
            _held: held,
        })
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let counters = &self.calls.0;
        counters.progress.fetch_add(1, Ordering::Relaxed);
        if self.is_unsent {
            counters.unsent.fetch_sub(1, Ordering::Relaxed);
        }
        if counters.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            counters.end.notify_waiters();
        }
    }
}

/// An answer on its way.
struct Sending<H> {
    body: Body,
    call: OpenCall,
    _held: H,
}

impl<H: Unpin> HttpBody for Sending<H> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let counters = &self.call.calls.0;
        counters.progress.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
