//! A deadline for the HTTP/2 preface.
//!
//! HTTP/2 keep-alive begins with the client's preface, and hyper has no timeout for it. A peer that
//! connects and never sends it would hold a file descriptor forever, and delay every drain.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" and the header of the SETTINGS frame that must follow it.
const PREFACE: usize = 24 + 9;

/// Reads and writes like the inner stream, except that reads fail if the preface has not arrived by
/// the deadline.
pub(super) struct FirstBytes<I> {
    io: I,
    awaited: Option<Awaited>,
    has_preface: Arc<AtomicBool>,
}

struct Awaited {
    bytes: usize,
    timeout: Pin<Box<Sleep>>,
}

impl<I> FirstBytes<I> {
    /// Wraps `io`, on which the preface must arrive by `deadline`.
    pub(super) fn new(io: I, deadline: Instant) -> Self {
        let awaited = Some(Awaited { bytes: PREFACE, timeout: Box::pin(sleep_until(deadline)) });
        Self { io, awaited, has_preface: Arc::default() }
    }

    /// Whether the preface has arrived.
    pub(super) fn has_preface(&self) -> Arc<AtomicBool> {
        self.has_preface.clone()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for FirstBytes<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, awaited, has_preface } = &mut *self;
        let Some(first) = awaited else { return Pin::new(io).poll_read(cx, buf) };
        if first.timeout.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(io).poll_read(cx, buf))?;
        first.bytes = first.bytes.saturating_sub(buf.filled().len() - before);
        if first.bytes == 0 {
            *awaited = None;
            has_preface.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for FirstBytes<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
