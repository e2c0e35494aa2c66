//! The message of a request, and the response with one message or a stream of them.
//!
//! A request of one frame is decoded at once, and tonic reads all others. It would write all responses as
//! streams, from a buffer of its own for each; a message that is encoded at once costs half as much, and a
//! watch that waits needs no buffer. tonic's generated server is not used: it boxes each method's future
//! and each body.

use std::{
    error::Error,
    future::poll_fn,
    option,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use hyper::body::{Body as HttpBody, Frame};
use prost::Message;
use tonic::{
    Status,
    body::Body,
    codec::{BufferSettings, CompressionEncoding, Streaming},
    metadata::GRPC_CONTENT_TYPE,
};
use tonic_prost::ProstCodec;

use super::{protocol, status::Failure};

/// Maximum size of a request, in bytes. A `Get` takes less than 100, a list of tasks with all names
/// that fit into a request to EM 15,000, a thousand session ids 66,000, and a resume token 30,000.
const MAX_REQUEST: usize = 80 * 1024;

/// Initial size of the buffer of a request, in bytes; it grows with larger requests.
const BUFFER: usize = 512;

/// Size of what is in front of each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Maximum size of the body of a request, in bytes.
pub(super) const LONGEST_BODY: usize = PREFIX + MAX_REQUEST;

/// What is left of a request once its headers have been checked: a quarter of the size.
pub(super) struct RequestBody<B> {
    body: B,
    is_compressed: bool,
}

/// A body that ends only where its sender has ended it. One that is broken off, by a reset or with its connection,
/// stays pending: the request is not wrong, but nobody waits for an answer, and hyper, which learns of that at the
/// same time, drops the call. hyper's own body would end, or fail as if its content were wrong.
pub(super) struct UnbrokenBody<B> {
    /// A frame that has been read, to be read again.
    first: Option<Frame<Bytes>>,
    rest: B,
}

/// What a method answers.
pub(super) enum Answer {
    Message(Messages<stream::Iter<option::IntoIter<Result<Bytes, Status>>>>),
    Stream(Body),
}

/// The body of a response: messages with their prefixes, and then the status.
pub(super) struct Messages<S> {
    messages: S,
    is_complete: bool,
}

/// Reads the one message of a request.
///
/// # Errors
///
/// There is none, it cannot be decoded, or it is too large.
pub(super) async fn message<M, B>(request: RequestBody<B>) -> Result<M, Failure>
where
    M: Message + Default + 'static,
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>> + Send,
{
    let RequestBody { body, is_compressed } = request;
    let mut body = UnbrokenBody::of(body);
    if let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if body.is_end_stream()
            && let Some(message) = frame.data_ref().and_then(|data| whole_message(data))
        {
            return Ok(message);
        }
        body.first = Some(frame);
    }
    // Boxed: nearly all messages have been returned above, and need no memory for this.
    let read = Box::pin(read_message(body, is_compressed)).await;
    read.map_err(|status| protocol::refused_message(&status))?.ok_or_else(protocol::no_message)
}

/// Decodes a message that is all of this and valid, as nearly all are. tonic's reader would copy it into a
/// buffer first.
fn whole_message<M: Message + Default>(data: &[u8]) -> Option<M> {
    let (&[compressed, a, b, c, d], message) = data.split_first_chunk::<PREFIX>()?;
    let is_whole = u32::from_be_bytes([a, b, c, d]) as usize == message.len();
    if compressed != 0 || !is_whole || message.len() > MAX_REQUEST {
        return None;
    }
    M::decode(message).ok()
}

async fn read_message<M, B>(body: B, is_compressed: bool) -> Result<Option<M>, Status>
where
    M: Message + Default + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let encoding = is_compressed.then_some(CompressionEncoding::Gzip);
    // The second number is for responses.
    let decoder = ProstCodec::<(), M>::raw_decoder(BufferSettings::new(BUFFER, 0));
    let mut messages = Streaming::new_request(decoder, body, encoding, Some(MAX_REQUEST));
    let message = messages.message().await?;
    // To the end: h2 resets the streams of requests that have not been read.
    messages.trailers().await?;
    Ok(message)
}

impl<B> RequestBody<B> {
    pub(super) fn of(request: Request<B>) -> Self {
        let is_compressed = protocol::is_compressed(request.headers());
        Self { body: request.into_body(), is_compressed }
    }
}

impl Answer {
    pub(super) fn message(message: &impl Message) -> Self {
        let messages = stream::iter(Some(Ok(with_prefix(message))));
        Self::Message(Messages { messages, is_complete: false })
    }

    pub(super) fn stream<M, S>(messages: S) -> Self
    where
        M: Message + 'static,
        S: Stream<Item = Result<M, Status>> + Send + Unpin + 'static,
    {
        let messages = messages.map_ok(|message| with_prefix(&message));
        Self::Stream(Body::new(Messages { messages, is_complete: false }))
    }
}

fn with_prefix(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(PREFIX + length);
    bytes.push(0);
    // Far below 4 GiB, since a list of EM's items takes 32 MiB at most.
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    message.encode_raw(&mut bytes);
    bytes.into()
}

/// The response with this body.
pub(super) fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}

impl<S> HttpBody for Messages<S>
where
    S: Stream<Item = Result<Bytes, Status>> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_complete {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::new();
        match ready!(self.messages.poll_next_unpin(cx)) {
            Some(Ok(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
            Some(Err(status)) => status.add_header(&mut trailers)?,
            None => drop(trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"))),
        }
        self.is_complete = true;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_complete
    }
}

impl<B> UnbrokenBody<B> {
    pub(super) fn of(body: B) -> Self {
        Self { first: None, rest: body }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for UnbrokenBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        match ready!(Pin::new(&mut self.rest).poll_frame(cx)) {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            None if self.rest.is_end_stream() => Poll::Ready(None),
            Some(Err(_)) | None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}
