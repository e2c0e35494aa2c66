//! What to ask Enterprise Manager for: requests, and how their answers are parsed.
//!
//! * `filter.rs`: EM's filter language.
//! * `path.rs`: the address of a query.
//! * `list.rs`: lists of sessions, and where their next page begins.
//! * `read.rs`: the methods that read pages and tasks.

use super::{error::BadResponse, guard::RequestKind};

pub(crate) mod filter;
pub(crate) mod list;
pub(crate) mod path;
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
    fn parse(&self, body: &[u8]) -> impl Future<Output = Result<Self::Answer, BadResponse>> + Send;
}
