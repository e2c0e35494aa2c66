//! A list that is read while it arrives.
//!
//! What has arrived is read item by item and taken out, so that of a long page there is never more
//! in memory than a batch of items and the one that is arriving.

use super::{cuts::Cuts, page::QueryPage};
use crate::enterprise_manager::error::BadResponse;

/// Bytes of items that are read together, at the least.
const BATCH: usize = 64 * 1024;

/// Most bytes that have arrived and are not read yet. EM's sessions have 3 kB.
pub const MAX_UNREAD: usize = 1024 * 1024;

/// Reads one list.
pub struct ListReader<T> {
    cuts: Cuts,
    batch: usize,
    read: Read<T>,
    page: QueryPage<T>,
    failed: Option<BadResponse>,
}

/// Reads a whole document, and adds what it holds to the page.
type Read<T> = Box<dyn FnMut(&[u8], &mut QueryPage<T>) -> Result<(), BadResponse> + Send>;

impl<T> ListReader<T> {
    /// Reads by `read` a list whose items stand at `path` below the root.
    pub(crate) fn new(
        path: &'static [&'static str],
        read: impl FnMut(&[u8], &mut QueryPage<T>) -> Result<(), BadResponse> + Send + 'static,
    ) -> Self {
        Self {
            cuts: Cuts::new(path),
            batch: BATCH,
            read: Box::new(read),
            page: QueryPage::default(),
            failed: None,
        }
    }

    /// The same, which reads items as soon as there are so many bytes of them. For tests: the
    /// results are the same.
    #[must_use]
    pub fn in_batches_of(mut self, bytes: usize) -> Self {
        self.batch = bytes;
        self
    }

    /// Reads what it can of what has arrived, and takes out what it has read. `unread` is what was
    /// left the last time, with more at its end. False when nothing more is of use: then
    /// [`ListReader::finish`] says why.
    pub fn advance(&mut self, unread: &mut Vec<u8>) -> bool {
        while self.failed.is_none() {
            let Some(end) = self.cuts.next_end(unread) else {
                if unread.len() > MAX_UNREAD {
                    self.failed = Some(BadResponse::TooLarge { limit: MAX_UNREAD });
                }
                break;
            };
            let head = self.cuts.items_from().unwrap_or(end);
            // What stands before the items is read with each batch.
            if end - head < self.batch.max(head) {
                continue;
            }
            if end > MAX_UNREAD {
                self.failed = Some(BadResponse::TooLarge { limit: MAX_UNREAD });
                break;
            }
            let rest = unread.split_off(end);
            unread.extend_from_slice(self.cuts.closing_tags().as_bytes());
            match (self.read)(unread, &mut self.page) {
                Ok(()) => {
                    unread.truncate(head);
                    unread.extend_from_slice(&rest);
                    self.cuts.taken_out(end - head);
                }
                // Left as it is: it may be looked at for what it is instead.
                Err(error) => self.failed = Some(error),
            }
        }
        self.failed.is_none()
    }

    /// Reads the rest of the document, when all of it has arrived.
    ///
    /// # Errors
    ///
    /// What is wrong with the document, first things first.
    pub fn finish(&mut self, unread: &[u8]) -> Result<QueryPage<T>, BadResponse> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        (self.read)(unread, &mut self.page)?;
        Ok(std::mem::take(&mut self.page))
    }
}
