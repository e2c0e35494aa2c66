//! A list in pieces, read as it is read in one piece.

use std::fmt::Debug;

use replica_session_gateway::enterprise_manager::{BadResponse, ListReader, QueryPage};

/// Reads the document, and checks that nothing changes when it is split: in some way that depends
/// on its bytes.
pub fn read<T: Debug + PartialEq>(
    reader: impl Fn() -> ListReader<T>,
    document: &[u8],
) -> Result<QueryPage<T>, BadResponse> {
    let pieces = document.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let whole = reader().finish(document);
    // Every item by itself, or some of them together.
    let batch = usize::from(pieces >> 6) * 1000;
    let in_pieces = arriving(reader().in_batches_of(batch), document, usize::from(pieces & 63) + 1);
    let at_once = arriving(reader().in_batches_of(batch), document, document.len().max(1));
    assert_eq!(in_pieces, at_once);
    if whole.is_ok() || in_pieces.is_ok() {
        assert_eq!(in_pieces, whole);
    }
    whole
}

fn arriving<T>(
    mut reader: ListReader<T>,
    document: &[u8],
    length: usize,
) -> Result<QueryPage<T>, BadResponse> {
    let mut unread = Vec::new();
    for piece in document.chunks(length) {
        unread.extend_from_slice(piece);
        if !reader.advance(&mut unread) {
            break;
        }
    }
    reader.finish(&unread)
}
