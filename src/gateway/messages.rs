//! The message of a request, and the response with one message or a stream of them.
//!
//! tonic reads requests and writes streams. A single message would be a stream of one to it, which costs
//! twice as much as encoding the message at once. tonic's generated server is not used: it boxes each
//! method's future and each body.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use hyper::body::{Body as HttpBody, Frame};
use prost::Message;
use tonic::{
    Status,
    body::Body,
    codec::{
        Codec as _, CompressionEncoding, EncodeBody, SingleMessageCompressionOverride, Streaming,
    },
    metadata::GRPC_CONTENT_TYPE,
};

use super::{protocol, status::Failure};
use crate::proto::codec::Codec;

/// Maximum size of a request, in bytes. A `Get` takes less than 100, a list of tasks with all names
/// that fit into a request to EM 15,000, a thousand session ids 66,000, and a resume token 30,000.
const MAX_REQUEST: usize = 80 * 1024;

/// Size of what is in front of each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// What a method answers.
pub(super) enum Answer {
    Message(SingleMessage),
    Stream(Body),
}

/// The body of a response with one message.
pub(super) struct SingleMessage {
    /// With its prefix.
    message: Option<Bytes>,
    is_complete: bool,
}

/// Reads the one message of a request.
///
/// # Errors
///
/// There is none, it cannot be decoded, or it is too large.
pub(super) async fn message<M, B>(request: Request<B>) -> Result<M, Failure>
where
    M: Message + Default + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let encoding = protocol::is_compressed(request.headers()).then_some(CompressionEncoding::Gzip);
    let decoder = Codec::<(), M>::default().decoder();
    let mut messages =
        Streaming::new_request(decoder, request.into_body(), encoding, Some(MAX_REQUEST));
    let read = async {
        let message = messages.message().await?;
        // To the end: h2 resets the streams of requests that have not been read.
        messages.trailers().await?;
        Ok(message)
    };
    let message = read.await.map_err(|status: Status| protocol::refused_message(&status))?;
    message.ok_or_else(protocol::no_message)
}

impl Answer {
    pub(super) fn message(message: &impl Message) -> Self {
        let length = message.encoded_len();
        let mut bytes = Vec::with_capacity(PREFIX + length);
        bytes.push(0);
        // Far below 4 GiB, since a list of EM's items takes 32 MiB at most.
        bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        message.encode_raw(&mut bytes);
        Self::Message(SingleMessage { message: Some(bytes.into()), is_complete: false })
    }

    pub(super) fn stream<M, S>(messages: S) -> Self
    where
        M: Message + 'static,
        S: Stream<Item = Result<M, Status>> + Send + 'static,
    {
        let encoder = Codec::<M, ()>::default().encoder();
        let settings = SingleMessageCompressionOverride::default();
        let body = EncodeBody::new_server(encoder, messages, None, settings, None);
        Self::Stream(Body::new(body))
    }
}

/// The response with this body.
pub(super) fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}

impl HttpBody for SingleMessage {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if self.is_complete {
            return Poll::Ready(None);
        }
        self.is_complete = true;
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_complete
    }
}
