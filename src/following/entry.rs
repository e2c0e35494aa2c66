//! One session of a table: its newest state, and the numbers of its changes.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;

use super::change::{Change, ChangeKind};
use crate::enterprise_manager::{Reading, SessionId};

/// Why nothing follows about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// The run is over.
    Ended,
    /// It no longer matches the filter.
    Left,
    /// Enterprise Manager no longer knows it.
    Removed,
}

/// How many earlier stays are remembered. A follower that has not read for longer is told that a session appears
/// which it knows.
const MAX_STAYS: usize = 32;

/// A session, with the numbers of its changes.
pub(crate) struct Entry {
    reading: Arc<Reading>,
    /// The number of its first change, or of the one with which it came back.
    appeared: u64,
    /// When it was here before, and no longer after: the numbers of its first change, and of the one that said
    /// that it has left or is removed. Oldest first, at most [`MAX_STAYS`].
    stays: Vec<(u64, u64)>,
    /// The number of its last change, and of the one before; 0 if there is none.
    number: u64,
    before: u64,
    /// Why nothing follows, and the number of the change that says so.
    gone: Option<(Gone, u64)>,
    /// When the gateway has noticed that.
    noticed_at: Timestamp,
    /// Stands for the session in marks.
    hash: u64,
    /// Stands for its state in marks.
    digest: u32,
}

impl Entry {
    pub(super) fn new(reading: Arc<Reading>, gone: Option<Gone>, number: u64) -> Self {
        Self {
            appeared: number,
            stays: Vec::new(),
            number,
            before: 0,
            gone: gone.map(|gone| (gone, number)),
            noticed_at: reading.read_at,
            hash: hash(reading.session.id),
            digest: digest(&reading),
            reading,
        }
    }

    /// Takes over a newer state. `false` if nothing that followers have to know has changed.
    pub(super) fn update(
        &mut self,
        reading: Arc<Reading>,
        gone: Option<Gone>,
        number: u64,
    ) -> bool {
        let was = self.gone.map(|(gone, _)| gone);
        if was == Some(Gone::Ended) && gone != was {
            // A run that is over does not go on, whatever an older answer says of it.
            return false;
        }
        let is_same = self.reading.session == reading.session && was == gone;
        if is_same {
            self.reading = reading;
            return false;
        }
        if let Some((_, gone_at)) = self.gone
            && gone != was
        {
            // It is back, as if it were new, except for followers who do not know yet that it was gone.
            let mut stays = std::mem::take(&mut self.stays);
            stays.push((self.appeared, gone_at));
            let too_many = stays.len().saturating_sub(MAX_STAYS);
            stays.drain(..too_many);
            *self = Self { stays, ..Self::new(reading, gone, number) };
            return true;
        }
        if was != gone {
            self.gone = gone.map(|gone| (gone, number));
            self.noticed_at = reading.read_at;
        }
        self.digest = digest(&reading);
        self.reading = reading;
        (self.before, self.number) = (self.number, number);
        true
    }

    pub(super) fn reading(&self) -> &Arc<Reading> {
        &self.reading
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn gone(&self) -> Option<Gone> {
        self.gone.map(|(gone, _)| gone)
    }

    /// When it ended and the gateway knew it.
    pub(super) fn gone_at(&self) -> Timestamp {
        self.ended_at().map_or(self.noticed_at, |ended_at| ended_at.max(self.noticed_at))
    }

    /// When the run ended, by the backup server's clock.
    pub(super) fn ended_at(&self) -> Option<Timestamp> {
        self.reading.session.entity.as_ref().and_then(|run| run.ended_at)
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn digest(&self) -> u32 {
        self.digest
    }

    /// How it was after the change with this number: `None` if it was not known.
    pub(super) fn as_of(&self, number: u64) -> Option<AsOf> {
        if self.appeared > number {
            let stay = self.stays.iter().rfind(|(appeared, _)| *appeared <= number)?;
            let is_gone = stay.1 <= number;
            return Some(if is_gone { AsOf::Gone } else { AsOf::Running { is_current: false } });
        }
        Some(match self.gone {
            Some((Gone::Ended, at)) if at <= number => AsOf::Ended,
            Some((_, at)) if at <= number => AsOf::Gone,
            _ => AsOf::Running { is_current: self.number <= number },
        })
    }

    /// What a follower has to be told who knows the session as of this number, or as it was running
    /// elsewhere. `None` if nothing: it has come and gone.
    pub(super) fn change_since(&self, known: Known) -> Option<Change> {
        let (has_appeared, may_have_skipped) = match known {
            Known::Nothing => (true, false),
            Known::AsOf(number) if self.appeared > number => match self.as_of(number) {
                Some(AsOf::Running { .. }) => (false, true),
                _ => (true, false),
            },
            Known::AsOf(number) => (false, self.before > number),
            Known::Running => (false, true),
        };
        let gone = match (self.gone, known) {
            (Some((_, at)), Known::AsOf(number)) if at <= number => None,
            (gone, _) => gone.map(|(gone, _)| gone),
        };
        let then = match gone {
            Some(Gone::Left | Gone::Removed) if has_appeared => return None,
            Some(Gone::Ended) => Some(ChangeKind::Ended),
            Some(Gone::Left) => Some(ChangeKind::Left),
            Some(Gone::Removed) => Some(ChangeKind::Removed),
            None => (!has_appeared).then_some(ChangeKind::Changed),
        };
        let reading = self.reading.clone();
        Some(Change { reading, has_appeared, then, may_have_skipped })
    }
}

/// How a session was at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AsOf {
    /// Not over. If it `is_current`, nothing has changed since.
    Running { is_current: bool },
    /// The run was over.
    Ended,
    /// It did not match any longer, or was not known to Enterprise Manager.
    Gone,
}

/// What a follower knows of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Nothing,
    /// The state after the change with this number.
    AsOf(u64),
    /// Some state of a run that was not over.
    Running,
}

/// Stands for a session where its id would take too much room.
pub(super) fn hash(id: SessionId) -> u64 {
    let mut context = Context::new(&SHA256);
    context.update(id.as_bytes());
    u64::from_be_bytes(first(context))
}

/// Stands for the state of a session: another version of the gateway may have another one for it.
fn digest(reading: &Reading) -> u32 {
    /// Digests what is written into it, without keeping it.
    struct Digest(Context);
    impl fmt::Write for Digest {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.update(text.as_bytes());
            Ok(())
        }
    }
    let mut digest = Digest(Context::new(&SHA256));
    write!(digest, "{:?}", reading.session).expect("a digest takes everything");
    u32::from_be_bytes(first(digest.0))
}

fn first<const N: usize>(context: Context) -> [u8; N] {
    let digest = context.finish();
    let mut first = [0; N];
    first.copy_from_slice(&digest.as_ref()[..N]);
    first
}
