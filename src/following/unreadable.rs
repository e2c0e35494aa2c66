//! Sessions that Enterprise Manager lists and of which it says nothing usable: a value is impossible, or the row
//! does not say whose it is.
//!
//! Such a row fails neither the look nor the other sessions. Followers are told nothing of its session until it
//! can be read, and operators are told that there is one.

use std::{collections::HashMap, sync::Arc};

use crate::{
    enterprise_manager::{BadResponse, Reading, SessionId},
    operations::metrics::GaugeGuard,
    watching::{Explain, Explained},
};

/// Maximum number of these that a look reads by their ids: where nothing can be read, that would be one query
/// after another.
const MAX_READ: usize = 64;

/// What queries have returned.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) sessions: HashMap<SessionId, Arc<Reading>>,
    /// What is wrong with sessions that cannot be parsed, with their ids if these can.
    pub(super) unreadable: Vec<(Option<SessionId>, BadResponse)>,
}

impl Listed {
    pub(super) fn len(&self) -> usize {
        self.sessions.len() + self.unreadable.len()
    }
}

/// The sessions that are listed and cannot be read, except those that are known to be over.
#[derive(Debug, Clone, Default)]
pub(super) struct Unreadable {
    /// What is wrong with those whose ids are known.
    sessions: HashMap<SessionId, BadResponse>,
    /// What is wrong with the others.
    nameless: Vec<BadResponse>,
}

impl Unreadable {
    /// The rows of this answer whose sessions are not otherwise known.
    pub(super) fn of(listed: &mut Listed, is_over: impl Fn(SessionId) -> bool) -> Self {
        let mut unreadable = Self::default();
        for (id, why) in std::mem::take(&mut listed.unreadable) {
            match id {
                None => unreadable.nameless.push(why),
                Some(id) if listed.sessions.contains_key(&id) || is_over(id) => {}
                Some(id) => {
                    unreadable.sessions.insert(id, why);
                }
            }
        }
        unreadable
    }

    /// Adds those of earlier looks that this one, which does not go back all the way, need not have listed.
    pub(super) fn keep(&mut self, earlier: &Self, listed: &Listed) {
        for (id, why) in &earlier.sessions {
            if !listed.sessions.contains_key(id) {
                self.sessions.entry(*id).or_insert_with(|| why.clone());
            }
        }
        if self.nameless.len() < earlier.nameless.len() {
            self.nameless.clone_from(&earlier.nameless);
        }
    }

    /// Those that are to be read by their ids.
    pub(super) fn to_read(&self) -> impl Iterator<Item = SessionId> {
        self.ids().take(MAX_READ)
    }

    /// This one has been read, or is gone.
    pub(super) fn remove(&mut self, id: SessionId) {
        self.sessions.remove(&id);
    }

    /// Those whose ids are known.
    pub(super) fn ids(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.keys().copied()
    }

    pub(super) fn contains(&self, id: SessionId) -> bool {
        self.sessions.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len() + self.nameless.len()
    }

    /// Whether some of them cannot be told apart.
    pub(super) fn has_nameless(&self) -> bool {
        !self.nameless.is_empty()
    }

    /// One of them, and what is wrong with it.
    pub(super) fn any(&self) -> Option<(Option<SessionId>, &BadResponse)> {
        let named = self.sessions.iter().map(|(id, why)| (Some(*id), why));
        named.chain(self.nameless.iter().map(|why| (None, why))).next()
    }
}

/// Tells operators when a filter begins to have such sessions, and when it has none any longer.
pub(super) struct Report {
    gauge: GaugeGuard,
    has_any: bool,
    explain: Explain,
}

impl Report {
    pub(super) fn new(gauge: GaugeGuard, explain: Explain) -> Self {
        Self { gauge, has_any: false, explain }
    }

    /// Counts none while there are no followers.
    pub(super) fn pause(&mut self) {
        self.gauge.set(0);
    }

    pub(super) fn update(&mut self, now: &Unreadable) {
        self.gauge.set(now.len());
        match now.any() {
            Some((id, why)) if !self.has_any => {
                let id = id.map(tracing::field::display);
                let Explained { reason, remedy } = (self.explain)(&why.clone().into());
                let (sessions, why) = (now.len(), why.of_row());
                tracing::warn!(
                    id,
                    sessions,
                    reason,
                    remedy,
                    "followers are told nothing of a session that cannot be read: {why}"
                );
            }
            None if self.has_any => {
                tracing::info!("every followed session that is listed can be read again");
            }
            _ => {}
        }
        self.has_any = now.len() > 0;
    }
}
