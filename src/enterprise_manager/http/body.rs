//! What reads an answer's body: as a whole, or while it arrives.

use crate::enterprise_manager::{
    error::BadResponse,
    xml::{ListReader, QueryPage},
};

/// Reads one body.
pub(crate) trait ReadBody<T> {
    /// Reads what it can of what has arrived, and takes that out. False when nothing more is of
    /// use: then `finish` says why.
    fn advance(&mut self, unread: &mut Vec<u8>) -> bool;

    /// Reads the rest, when all has arrived.
    ///
    /// # Errors
    ///
    /// What is wrong with the body.
    fn finish(&mut self, unread: &[u8]) -> Result<T, BadResponse>;
}

/// A function reads a body as a whole.
impl<T, F: FnMut(&[u8]) -> Result<T, BadResponse>> ReadBody<T> for F {
    fn advance(&mut self, _: &mut Vec<u8>) -> bool {
        true
    }

    fn finish(&mut self, body: &[u8]) -> Result<T, BadResponse> {
        self(body)
    }
}

impl<T> ReadBody<QueryPage<T>> for ListReader<T> {
    fn advance(&mut self, unread: &mut Vec<u8>) -> bool {
        self.advance(unread)
    }

    fn finish(&mut self, unread: &[u8]) -> Result<QueryPage<T>, BadResponse> {
        self.finish(unread)
    }
}
