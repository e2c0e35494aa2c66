//! State that a connection and its service share: the peer and its identity, and the open calls.
//!
//! HTTP/2 lets a peer read responses as slowly as it likes, or never. So before a connection can be
//! closed, it has to know two things that hyper does not report: whether a call is still open, and
//! whether the peer still reads.

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

use super::client_identity::ClientIdentity;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Whether it is a program on this machine, or in this pod: it uses a loopback address, or the one
    /// that it connects to. From elsewhere nobody can, since the answers would never leave this machine.
    pub(crate) is_local: bool,
    /// The identity in its certificate, if it has one.
    pub(crate) identity: Option<ClientIdentity>,
}

/// One connection. Clones refer to the same one.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    peer: Peer,
    /// The number of calls whose responses have not been sent completely.
    open: AtomicUsize,
    /// The number of complete responses that have not been sent completely.
    unsent: AtomicUsize,
    /// The number of streams with a message that is ready and has not been taken.
    untaken: AtomicUsize,
    /// Incremented whenever a piece of a response is taken.
    progress: AtomicUsize,
    /// Notified when the last open call ends.
    idle: Notify,
    /// Cancelled when the connection has to end, because streams do not end by themselves.
    ending: CancellationToken,
    /// Cancelled when the connection is to take no further calls.
    retired: CancellationToken,
}

/// One open call. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct OpenCall {
    connection: ConnectionHandle,
    waits_for_peer: Option<Waiting>,
}

/// The part of a call that waits for the peer.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    Response,
    Message,
}

impl Peer {
    /// A peer with this address that has connected to `local`, before it has shown a certificate.
    pub(super) fn at(address: SocketAddr, local: SocketAddr) -> Self {
        // An IPv4 address, if the connection came over IPv4 to a socket of both.
        let [ip, local] = [address, local].map(|address| address.ip().to_canonical());
        let address = SocketAddr::new(ip, address.port());
        Self { address, is_local: ip.is_loopback() || ip == local, identity: None }
    }
}

impl ConnectionHandle {
    /// A connection without calls.
    pub(crate) fn new(peer: Peer) -> Self {
        Self(Arc::new(Shared {
            peer,
            open: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            untaken: AtomicUsize::new(0),
            progress: AtomicUsize::new(0),
            idle: Notify::new(),
            ending: CancellationToken::new(),
            retired: CancellationToken::new(),
        }))
    }

    /// The other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Begins a call.
    pub(crate) fn begin_call(&self) -> OpenCall {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        OpenCall { connection: self.clone(), waits_for_peer: None }
    }

    /// Has the connection take no further calls, and end once its open calls have.
    pub(crate) fn retire(&self) {
        self.0.retired.cancel();
    }

    /// Completes when the connection is to take no further calls.
    pub(super) async fn retired(&self) {
        self.0.retired.cancelled().await;
    }

    /// Completes when the connection has to end. Streams must then end.
    pub(crate) async fn has_to_end(&self) {
        self.0.ending.cancelled().await;
    }

    /// Tells streams to end.
    pub(super) fn end_streams(&self) {
        self.0.ending.cancel();
    }

    /// Completes when no call is open.
    pub(super) async fn all_ended(&self) {
        loop {
            let idle = self.0.idle.notified();
            if self.0.open.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Completes when responses have been ready for `time` and the peer has read nothing of them.
    /// Streams may wait for a slow reader, so they count only after they have been told to end.
    pub(super) async fn unread(&self, time: Duration) {
        let mut seen = None;
        loop {
            sleep(time).await;
            let progress = self.0.progress.load(Ordering::Relaxed);
            let is_waiting = self.0.unsent.load(Ordering::Relaxed) > 0
                || self.0.ending.is_cancelled() && self.0.untaken.load(Ordering::Relaxed) > 0;
            if is_waiting && seen == Some(progress) {
                return;
            }
            seen = is_waiting.then_some(progress);
        }
    }
}

impl OpenCall {
    /// Makes `body` the call's response. The call stays open, and `held` is kept, until all of it is
    /// sent. The body of a stream grows over time; any other is complete.
    pub(crate) fn send(
        mut self,
        body: impl HttpBody<Data = Bytes, Error = Status> + Send + Unpin + 'static,
        is_stream: bool,
        held: impl Send + Unpin + 'static,
    ) -> Body {
        self.set_waiting((!is_stream).then_some(Waiting::Response));
        Body::new(SentBody { body, call: self, is_stream, _held: held })
    }

    fn set_waiting(&mut self, waiting: Option<Waiting>) {
        let shared = &self.connection.0;
        let counter = |waiting| match waiting {
            Waiting::Response => &shared.unsent,
            Waiting::Message => &shared.untaken,
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
        self.set_waiting(None);
        let shared = &self.connection.0;
        shared.progress.fetch_add(1, Ordering::Relaxed);
        if shared.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            shared.idle.notify_waiters();
        }
    }
}

/// A response that is being sent.
struct SentBody<B, H> {
    body: B,
    call: OpenCall,
    is_stream: bool,
    _held: H,
}

impl<B, H> HttpBody for SentBody<B, H>
where
    B: HttpBody<Data = Bytes, Error = Status> + Unpin,
    H: Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let shared = &self.call.connection.0;
        shared.progress.fetch_add(1, Ordering::Relaxed);
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if self.is_stream {
            // A message returned here has been taken when the next one is polled for.
            let is_ready = matches!(polled, Poll::Ready(Some(_)));
            self.call.set_waiting(is_ready.then_some(Waiting::Message));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_local_if_it_has_a_loopback_address_or_the_one_that_it_connects_to() {
        for (peer, local, is_local) in [
            ("127.0.0.6:4", "10.1.2.3:50051", true),
            ("[::1]:4", "[::1]:50051", true),
            ("10.1.2.3:4", "10.1.2.3:50051", true),
            ("[::ffff:10.1.2.3]:4", "[::ffff:10.1.2.3]:50051", true),
            ("[::ffff:127.0.0.1]:4", "[::ffff:10.1.2.3]:50051", true),
            ("[fd00::1]:4", "[fd00::1]:50051", true),
            ("10.1.2.4:4", "10.1.2.3:50051", false),
            ("[::ffff:10.1.2.4]:4", "[::ffff:10.1.2.3]:50051", false),
            ("[fd00::2]:4", "[fd00::1]:50051", false),
        ] {
            let peer = Peer::at(peer.parse().unwrap(), local.parse().unwrap());
            assert_eq!(peer.is_local, is_local, "{peer:?}");
        }
    }
}
