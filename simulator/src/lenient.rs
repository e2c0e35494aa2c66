//! Request lines that only some servers take: with unescaped `"`, `<` and `>`, which a public client
//! sends in filters, and releases 12 and 13 presumably accept.
//!
//! hyper refuses them before any code of ours sees the request. So they are escaped in what a
//! connection reads: in every line that begins with `GET `. A body may have such a line, too; no
//! request to Enterprise Manager has such a body.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const METHOD: &[u8] = b"GET ";

/// A stream whose request lines are escaped while they are read.
pub(crate) struct Lenient<S> {
    stream: S,
    line: Line,
    /// Read and not yet passed on.
    ready: Vec<u8>,
}

/// Where in a line the next byte stands.
#[derive(Clone, Copy)]
enum Line {
    /// After this many bytes of the method.
    Start(usize),
    Request,
    Other,
}

impl<S> Lenient<S> {
    /// A stream at the start of a line.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, line: Line::Start(0), ready: Vec::new() }
    }
}

impl Line {
    /// Appends a byte, escaped if need be.
    fn pass(&mut self, byte: u8, to: &mut Vec<u8>) {
        match (&self, byte) {
            (Self::Request, b'"') => to.extend(b"%22"),
            (Self::Request, b'<') => to.extend(b"%3C"),
            (Self::Request, b'>') => to.extend(b"%3E"),
            _ => to.push(byte),
        }
        *self = match *self {
            _ if byte == b'\n' => Self::Start(0),
            Self::Start(length) if byte != METHOD[length] => Self::Other,
            Self::Start(length) if length + 1 == METHOD.len() => Self::Request,
            Self::Start(length) => Self::Start(length + 1),
            line => line,
        };
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ready.is_empty() {
            let mut bytes = [0; 4096];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
            for &byte in read.filled() {
                this.line.pass(byte, &mut this.ready);
            }
        }
        let length = this.ready.len().min(buffer.remaining());
        buffer.put_slice(&this.ready[..length]);
        this.ready.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
