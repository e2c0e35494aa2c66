//! How a body leaves: at once, byte by byte, or only half.

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

use super::observe::InFlight;

/// The speed of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pace {
    #[default]
    AtOnce,
    /// One byte per interval.
    Trickle(Duration),
    /// The first half at once, then the connection is dropped.
    Half,
}

/// A body on its way. The request stays in flight until the body has been handed over or dropped.
pub(super) struct Body {
    left: Bytes,
    pace: Pace,
    wait: Option<Pin<Box<Sleep>>>,
    _in_flight: InFlight,
}

impl Body {
    /// A body that leaves at this pace.
    pub(super) fn new(content: Bytes, pace: Pace, in_flight: InFlight) -> Self {
        Self {
            left: content,
            pace,
            wait: None,
            _in_flight: in_flight,
        }
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
            Pace::AtOnce => self.left.split_to(length),
            Pace::Trickle(interval) => {
                self.wait = Some(Box::pin(sleep(interval)));
                self.left.split_to(1)
            }
            Pace::Half if self.wait.is_some() => {
                return Poll::Ready(Some(Err(io::Error::other("dropped by a fault"))));
            }
            Pace::Half => {
                // hyper sends what it has while it waits: the first half must arrive.
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
