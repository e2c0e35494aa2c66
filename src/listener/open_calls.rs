//! The calls on one connection whose answers have not been sent to their end.
//!
//! HTTP/2 lets a peer take answers as slowly as it likes, or never. So two things have to be known
//! of a connection: whether there is something to finish before it may end, and whether its peer
//! still reads.

use std::{
    net::SocketAddr,
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
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};

/// The open calls of one connection. It travels in the extensions of the connection's requests, so
/// that the service can tell which calls are worth waiting for.
#[derive(Debug, Clone, Default)]
pub struct OpenCalls(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    peer: Option<SocketAddr>,
    open: AtomicUsize,
    /// Places that the connection has of those of the process, by kind.
    places: [AtomicUsize; 3],
    /// Answers that are ready and not sent to their end.
    unsent: AtomicUsize,
    /// Streams with a piece that is ready and not taken.
    untaken: AtomicUsize,
    /// Grows with every piece of an answer that is taken.
    progress: AtomicUsize,
    end: Notify,
    /// Cancelled when the connection has to end: streams do not end by themselves.
    leaving: CancellationToken,
}

/// What the process has a limited number of, for all connections together.
#[derive(Debug, Clone, Copy)]
pub enum PlaceKind {
    /// Calls in flight but watches.
    Call,
    /// Those of them that are for a list.
    List,
    /// Watches.
    Watch,
}

/// One open call. It ends when this is dropped.
#[derive(Debug)]
pub struct OpenCall {
    calls: OpenCalls,
    waits_for_peer: Option<Waiting>,
}

/// What of a call waits for its peer, if anything does.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    Answer,
    Piece,
}

impl OpenCalls {
    /// None yet, on a connection of this peer.
    pub(super) fn of_peer(peer: SocketAddr) -> Self {
        Self(Arc::new(Counters {
            peer: Some(peer),
            ..Counters::default()
        }))
    }

    /// Who is at the other end of the connection, if there is one.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// A call begins.
    pub fn begin(&self) -> OpenCall {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        OpenCall {
            calls: self.clone(),
            waits_for_peer: None,
        }
    }

    /// Places of this kind that this connection has.
    pub fn places(&self, kind: PlaceKind) -> usize {
        self.0.places[kind as usize].load(Ordering::Relaxed)
    }

    /// The connection has one more place until this is dropped.
    pub fn take_place(&self, kind: PlaceKind) -> TakenPlace {
        self.0.places[kind as usize].fetch_add(1, Ordering::Relaxed);
        TakenPlace(self.clone(), kind)
    }

    /// Tells streams to end.
    pub(super) fn leave(&self) {
        self.0.leaving.cancel();
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
    /// Streams may wait for a slow reader, and count only once they have been told to end.
    pub(super) async fn stalled(&self, time: Duration) {
        let mut seen = None;
        loop {
            sleep(time).await;
            let progress = self.0.progress.load(Ordering::Relaxed);
            let is_waiting = self.0.unsent.load(Ordering::Relaxed) > 0
                || self.0.leaving.is_cancelled() && self.0.untaken.load(Ordering::Relaxed) > 0;
            if is_waiting && seen == Some(progress) {
                return;
            }
            seen = is_waiting.then_some(progress);
        }
    }
}

/// A place that a connection has.
#[derive(Debug)]
pub struct TakenPlace(OpenCalls, PlaceKind);

impl Drop for TakenPlace {
    fn drop(&mut self) {
        self.0.0.places[self.1 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

impl OpenCall {
    /// The calls of its connection.
    pub fn connection(&self) -> &OpenCalls {
        &self.calls
    }

    /// The call is answered with `body`; it stays open, and `held` is held, until that is sent.
    pub fn send(mut self, body: Body, held: impl Send + Unpin + 'static) -> Body {
        self.waits_for_peer(Some(Waiting::Answer));
        Body::new(Sending {
            body,
            call: self,
            is_stream: false,
            _held: held,
        })
    }

    /// The same for a body that grows over time.
    pub fn stream(self, body: Body, held: impl Send + Unpin + 'static) -> Body {
        Body::new(Sending {
            body,
            call: self,
            is_stream: true,
            _held: held,
        })
    }

    /// Cancelled when a stream has to end, for its connection's sake.
    pub fn leaving(&self) -> CancellationToken {
        self.calls.0.leaving.clone()
    }

    fn waits_for_peer(&mut self, waiting: Option<Waiting>) {
        let counters = &self.calls.0;
        let counter = |waiting| match waiting {
            Waiting::Answer => &counters.unsent,
            Waiting::Piece => &counters.untaken,
        };
        if let Some(before) = self.waits_for_peer {
            counter(before).fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(now) = waiting {
            counter(now).fetch_add(1, Ordering::Relaxed);
        }
        self.waits_for_peer = waiting;
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.waits_for_peer(None);
        let counters = &self.calls.0;
        counters.progress.fetch_add(1, Ordering::Relaxed);
        if counters.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            counters.end.notify_waiters();
        }
    }
}

/// An answer on its way.
struct Sending<H> {
    body: Body,
    call: OpenCall,
    is_stream: bool,
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
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if self.is_stream {
            // What has been given out here is taken when the next is asked for.
            let is_given = matches!(polled, Poll::Ready(Some(_)));
            self.call.waits_for_peer(is_given.then_some(Waiting::Piece));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
