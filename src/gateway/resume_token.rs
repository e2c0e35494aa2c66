//! Resume tokens: what a follower has been sent, sealed like a page token, and valid for an equal request
//! only.

use jiff::Timestamp;

use super::page_token::PageTokens;
use crate::{
    enterprise_manager::SessionId,
    following::{Checksum, Mark},
};

/// Maximum length of a token, in bytes; longer ones are refused without decoding. A mark of 1000 running,
/// 512 ended, unlisted ones among them, and 64 unreadable sessions has less.
const MAX_TOKEN: usize = 40_000;

impl PageTokens {
    /// The token for a mark. `request` identifies the watch.
    pub(super) fn of_mark(&self, mark: &Mark, request: &str) -> String {
        let Mark { poller, look, from, floor, older, running, ended, unlisted, unreadable } = mark;
        let mut bytes = Vec::new();
        bytes.extend(poller.to_be_bytes());
        bytes.extend(look.to_be_bytes());
        bytes.extend(from.as_nanosecond().to_be_bytes());
        bytes.extend(floor.as_nanosecond().to_be_bytes());
        bytes.extend(older.count.to_be_bytes());
        bytes.extend(older.sum.to_be_bytes());
        bytes.extend(u16::try_from(running.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (id, digest) in running {
            bytes.extend(id.as_bytes());
            bytes.extend(digest.to_be_bytes());
        }
        for hashes in [unreadable, unlisted] {
            bytes.extend(u16::try_from(hashes.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
        let hashes = unreadable.iter().chain(unlisted).chain(ended);
        bytes.extend(hashes.flat_map(|hash| hash.to_be_bytes()));
        self.seal(&bytes, request)
    }

    /// The mark in a token of [`of_mark`](Self::of_mark); `None` if it is not valid.
    pub(super) fn mark(&self, token: &str, request: &str) -> Option<Mark> {
        let bytes = self.open(token, request, MAX_TOKEN)?;
        let (poller, rest) = bytes.split_first_chunk()?;
        let (look, rest) = rest.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (floor, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let (running, rest) = rest.split_first_chunk()?;
        let count_of_running = usize::from(u16::from_be_bytes(*running));
        let (running, rest) = rest.split_at_checked(count_of_running * (16 + 4))?;
        let (running, _) = running.as_chunks::<20>();
        let (count_of_unreadable, rest) = rest.split_first_chunk()?;
        let (count_of_unlisted, rest) = rest.split_first_chunk()?;
        let (hashes, remainder) = rest.as_chunks();
        let hashes = hashes.iter().map(|hash| u64::from_be_bytes(*hash)).collect::<Vec<_>>();
        let number = |bytes: &[u8; 2]| usize::from(u16::from_be_bytes(*bytes));
        let (unreadable, hashes) = hashes.split_at_checked(number(count_of_unreadable))?;
        let (unlisted, ended) = hashes.split_at_checked(number(count_of_unlisted))?;
        let time = |bytes: &[u8; 16]| Timestamp::from_nanosecond(i128::from_be_bytes(*bytes)).ok();
        let running = running.iter().map(|bytes| {
            let (id, digest) = bytes.split_first_chunk()?;
            let digest = u32::from_be_bytes(digest.try_into().ok()?);
            Some((SessionId::from_bytes(*id), digest))
        });
        remainder.is_empty().then_some(Mark {
            poller: u64::from_be_bytes(*poller),
            look: u64::from_be_bytes(*look),
            from: time(from)?,
            floor: time(floor)?,
            older: Checksum { count: u32::from_be_bytes(*count), sum: u64::from_be_bytes(*sum) },
            running: running.collect::<Option<_>>()?,
            ended: ended.to_vec(),
            unlisted: unlisted.to_vec(),
            unreadable: unreadable.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(running: usize, ended: u64, unlisted: u64, unreadable: u64) -> Mark {
        let id = |number: usize| SessionId::from_bytes((number as u128).to_be_bytes());
        Mark {
            poller: u64::MAX - 1,
            look: 3,
            from: "2025-01-01T00:00:00.0000001Z".parse().unwrap(),
            floor: "1969-12-31T23:59:59.25Z".parse().unwrap(),
            older: Checksum { count: 7, sum: u64::MAX },
            running: (0..running).map(|number| (id(number), 5)).collect(),
            ended: (0..ended).collect(),
            unlisted: (0..unlisted).collect(),
            unreadable: (0..unreadable).collect(),
        }
    }

    #[test]
    fn a_mark_survives_a_restart_with_the_same_secret_and_belongs_to_its_request() {
        for (running, ended, unlisted, unreadable) in [
            (0, 0, 0, 0),
            (3, 0, 0, 0),
            (0, 5, 0, 0),
            (0, 0, 2, 0),
            (0, 0, 0, 1),
            (1000, 256, 256, 64),
        ] {
            let mark = mark(running, ended, unlisted, unreadable);
            let token = PageTokens::new(b"secret").of_mark(&mark, "a");
            assert!(token.len() <= 36_000, "{}", token.len());
            let again = PageTokens::new(b"secret");
            assert_eq!(again.mark(&token, "a"), Some(mark));
            assert_eq!(again.mark(&token, "b"), None);
            assert_eq!(PageTokens::new(b"other").mark(&token, "a"), None);
        }
    }

    #[test]
    fn a_token_that_is_cut_or_is_one_of_a_page_is_refused() {
        let tokens = PageTokens::new(b"secret");
        let token = tokens.of_mark(&mark(2, 2, 2, 2), "a");
        for end in 0..token.len() {
            assert_eq!(tokens.mark(&token[..end], "a"), None);
        }
        for bytes in [&[][..], &[0; 65], &[0; 66 + 7], &[255; 66]] {
            assert_eq!(tokens.mark(&tokens.seal(bytes, "a"), "a"), None, "{}", bytes.len());
        }
        assert_eq!(tokens.mark(&tokens.of_ids(3, "a"), "a"), None);
        assert_eq!(tokens.mark(&"A".repeat(1_000_000), "a"), None);
    }
}
