//! Read requests to Enterprise Manager, and how to parse the answers.

use super::{error::BadResponse, guard::RequestKind};

pub(crate) mod filter;
pub(crate) mod list;
mod path;
mod read;

/// A GET request, and how to parse its answer.
pub(crate) trait ReadRequest: Sync {
    /// The parsed answer.
    type Answer: Send;

    /// The kind of the request.
    const KIND: RequestKind;

    /// The request's target, relative to EM's address.
    fn path(&self) -> String;

    /// Parses the body of an answer with status 200. May be called more than once for a request.
    ///
    /// # Errors
    ///
    /// If the body is not a valid answer to this request.
    fn read(&self, body: &[u8]) -> impl Future<Output = Result<Self::Answer, BadResponse>> + Send;
}
