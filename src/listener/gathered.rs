//! Buffers what a connection writes during one poll, and sends it in one system call.
//!
//! h2 writes and flushes after every message of more than 256 bytes, and again for the trailers that
//! follow. Each response then costs two system calls, two packets and two wake-ups of the peer, even
//! when several responses are ready together. tokio's `BufWriter` would not help, because it passes
//! h2's flushes on.

use std::{
    cell::Cell,
    future::poll_fn,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Size of the buffer, in bytes. Longer writes bypass it.
const LIMIT: usize = 16 * 1024;

/// Reads and writes like the inner stream, except that [`Gathered::drive`] sends what was written
/// during a poll at the end of that poll.
pub(super) struct Gathered<I>(Arc<Mutex<Buffered<I>>>);

thread_local! {
    /// The buffer of this worker, while no connection has anything in it: it is in the processor's cache,
    /// and a connection that waits needs none.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

struct Buffered<I> {
    io: I,
    /// What has to be sent. Without a buffer if that is nothing.
    waiting: Vec<u8>,
    /// The first byte of `waiting` that has not been written yet.
    start: usize,
}

impl<I> Clone for Gathered<I> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I> Gathered<I> {
    /// Wraps `io`, and buffers what is written to it.
    pub(super) fn new(io: I) -> Self {
        Self(Arc::new(Mutex::new(Buffered { io, waiting: Vec::new(), start: 0 })))
    }

    fn lock(&self) -> MutexGuard<'_, Buffered<I>> {
        // Never contended: a connection and its driver are one task.
        self.0.lock()
    }
}

impl<I: AsyncWrite + Unpin> Gathered<I> {
    /// Polls `connection`, which must write through this wrapper, and sends what it has written after
    /// each poll.
    pub(super) async fn drive<C: Future>(&self, mut connection: Pin<&mut C>) -> C::Output {
        poll_fn(|cx| {
            let ended = connection.as_mut().poll(cx);
            // If it is pending, this task is woken for the rest. An error is reported by the next
            // write or read, since a broken connection stays broken.
            let _ = self.lock().send(cx);
            ended
        })
        .await
    }
}

impl<I: AsyncWrite + Unpin> Buffered<I> {
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.start < self.waiting.len() {
            let rest = &self.waiting[self.start..];
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.start += written;
        }
        if self.start > 0 {
            self.waiting.clear();
            self.start = 0;
            SPARE.set(mem::take(&mut self.waiting));
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Gathered<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().io).poll_read(cx, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Gathered<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut buffered = self.lock();
        let length = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if buffered.waiting.len() + length > LIMIT {
            ready!(buffered.send(cx))?;
            if length > LIMIT {
                return Pin::new(&mut buffered.io).poll_write_vectored(cx, bufs);
            }
        }
        if buffered.waiting.capacity() == 0 {
            buffered.waiting = SPARE.take();
        }
        for buf in bufs {
            buffered.waiting.extend_from_slice(buf);
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: the bytes are sent at the end of the poll.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffered = self.lock();
        ready!(buffered.send(cx))?;
        Pin::new(&mut buffered.io).poll_shutdown(cx)
    }
}
