//! What the common path of all reads needs from a request.
//!
//! A trait, so that a new kind of read is a path and a parser, and cannot have retries of its own.

use super::{error::BadResponse, guard::RequestKind};

/// A GET request, and how to parse its answer.
pub(crate) trait ReadRequest: Sync {
    /// The parsed answer.
    type Answer: Send;

    /// The kind of the request.
    const KIND: RequestKind;

    /// Whether it is sent once more with a new logon session if EM answers 401.
    fn renews_logon(&self) -> bool {
        true
    }

    /// The request's target, relative to EM's address.
    fn path(&self) -> String;

    /// Parses the body of an answer with status 200. May be called more than once for a request.
    ///
    /// # Errors
    ///
    /// If the body is not a valid answer to this request.
    fn parse(&self, body: &[u8]) -> impl Future<Output = Result<Self::Answer, BadResponse>> + Send;
}
