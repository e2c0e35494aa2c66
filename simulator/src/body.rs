//! A response body that can be slow or cut off: sent at once, byte by byte, or only half.
//!
//! It also holds the guard that counts its request as in flight, because a request is over when its
//! body has been sent, not when the handler returns.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::observer::InFlight;

/// The pace at which a body is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    #[default]
    Immediate,
    /// One byte per interval.
    Trickle(Duration),
    /// The first half at once, then the connection is closed.
    Half,
}

/// A body being sent. Its request is in flight until the body is dropped.
pub(crate) struct Body {
    left: Bytes,
    pace: Pace,
    wait: Option<Pin<Box<Sleep>>>,
    _in_flight: InFlight,
}

impl Body {
    /// A body to send at this pace.
    pub(crate) fn new(content: Bytes, pace: Pace, in_flight: InFlight) -> Self {
        Self { left: content, pace, wait: None, _in_flight: in_flight }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
        }
        let length = self.left.len();
        let chunk = match self.pace {
            _ if length == 0 => return Poll::Ready(None),
            Pace::Immediate => self.left.split_to(length),
            Pace::Trickle(interval) => {
                self.wait = Some(Box::pin(sleep(interval)));
                self.left.split_to(1)
            }
            Pace::Half if self.wait.is_some() => {
                return Poll::Ready(Some(Err(io::Error::other("dropped by a fault"))));
            }
            Pace::Half => {
                // hyper flushes while it waits, so that the first half is sent before the error.
                self.wait = Some(Box::pin(sleep(Duration::from_millis(1))));
                self.left.split_to(length / 2)
            }
        };
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
