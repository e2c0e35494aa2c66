//! Reads: what to ask Enterprise Manager for, and how to read its answer.

use super::{error::BadResponse, guard::RequestKind};

pub(crate) mod filter;
pub(crate) mod list;
mod path;
mod read;

/// A GET request, and how to read its answer.
pub(crate) trait ReadRequest: Sync {
    /// What the answer holds.
    type Answer: Send;

    /// The kind of the request.
    const KIND: RequestKind;

    /// The request's target, relative to EM's address.
    fn path(&self) -> String;

    /// Reads the body of an answer with status 200. Called again when the answer has to be judged
    /// once more.
    ///
    /// # Errors
    ///
    /// What is wrong with the body.
    fn read(&self, body: &[u8]) -> impl Future<Output = Result<Self::Answer, BadResponse>> + Send;
}
