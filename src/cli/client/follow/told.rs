//! What has been told of sessions, so that nothing is told twice.
//!
//! A resume token does most of that. This is for the watches that have none, or an old one: the gateway then
//! repeats itself.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::proto::v1::{
    ReplicaSession, ReplicaSessionChange,
    replica_session::State,
    replica_session_change::Kind::{self, Appeared, Changed, Ended, Left, Removed},
};

/// How many sessions are remembered: a filter has at most 2,000 that run or have just ended.
const MAX_SESSIONS: usize = 5000;

/// What has become of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Runs,
    Ended,
    /// It no longer matches, or Enterprise Manager no longer knows it.
    Gone,
}

/// A session as it was told last.
struct Telling {
    session: ReplicaSession,
    fate: Fate,
    /// The number of the telling.
    number: u64,
}

/// The sessions that have been told.
#[derive(Default)]
pub(super) struct Told {
    /// The kinds of changes to tell; empty for all.
    wanted: Vec<Kind>,
    sessions: HashMap<String, Telling>,
    /// The tellings in their order, also those that later ones have replaced.
    order: VecDeque<(u64, String)>,
    number: u64,
    /// Sessions that ran before the watch began anew, and have not been told since.
    doubtful: HashSet<String>,
}

impl Told {
    /// Nothing has been told.
    pub(super) fn new(wanted: Vec<Kind>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// What of this change is news. Remembers it as told.
    pub(super) fn news(&mut self, change: &ReplicaSessionChange) -> Option<Vec<Kind>> {
        let session = change.replica_session.clone().unwrap_or_default();
        let mut kinds: Vec<_> = change.kinds().collect();
        let fate = if kinds.contains(&Left) || kinds.contains(&Removed) {
            Fate::Gone
        } else if kinds.contains(&Ended) || session.state() == State::Stopped {
            Fate::Ended
        } else {
            Fate::Runs
        };
        self.doubtful.remove(&session.id);
        if let Some(known) = self.sessions.get(&session.id) {
            // Of one that is gone nothing follows, whatever was its last state.
            if known.fate == fate && (fate == Fate::Gone || known.session == session) {
                return None;
            }
            if known.fate != Fate::Gone {
                // To a watch that begins anew, it has appeared.
                let had_ended = known.fate == Fate::Ended;
                kinds.retain(|kind| *kind != Appeared && !(had_ended && *kind == Ended));
                if kinds.is_empty() {
                    kinds.push(Changed);
                }
            }
        }
        self.remember(session, fate);
        let is_wanted = self.wanted.is_empty() || kinds.iter().any(|it| self.wanted.contains(it));
        is_wanted.then_some(kinds)
    }

    fn remember(&mut self, session: ReplicaSession, fate: Fate) {
        self.number += 1;
        let number = self.number;
        self.order.push_back((number, session.id.clone()));
        self.sessions.insert(session.id.clone(), Telling { session, fate, number });
        let sessions = &mut self.sessions;
        let is_last = |number: u64, sessions: &HashMap<String, Telling>, id: &String| {
            sessions.get(id).is_some_and(|telling| telling.number == number)
        };
        if self.order.len() > 2 * MAX_SESSIONS {
            self.order.retain(|(number, id)| is_last(*number, sessions, id));
        }
        while sessions.len() > MAX_SESSIONS {
            let Some((number, id)) = self.order.pop_front() else { break };
            if is_last(number, sessions, &id) {
                sessions.remove(&id);
            }
        }
    }

    /// The watch begins anew: what has become of the sessions that ran is not known.
    pub(super) fn begin_anew(&mut self) {
        let running = self.sessions.iter().filter(|(_, telling)| telling.fate == Fate::Runs);
        self.doubtful = running.map(|(id, _)| id.clone()).collect();
    }

    /// All that run have been told. Returns those that do not any longer, of which nothing has been told.
    pub(super) fn vanished(&mut self) -> Vec<ReplicaSession> {
        let vanished = self.doubtful.drain().filter_map(|id| self.sessions.remove(&id));
        let mut vanished: Vec<_> = vanished.map(|telling| telling.session).collect();
        vanished.sort_by(|one, other| one.id.cmp(&other.id));
        let wants_ends = self.wanted.is_empty() || self.wanted.contains(&Ended);
        if wants_ends { vanished } else { Vec::new() }
    }

    /// The sessions that run, the latest first.
    pub(super) fn running(&self) -> Vec<&ReplicaSession> {
        let mut running = self.with_fate(Fate::Runs);
        running.sort_by_key(|telling| {
            let created = telling.session.create_time;
            std::cmp::Reverse(created.map(|time| (time.seconds, time.nanos)))
        });
        running.into_iter().map(|telling| &telling.session).collect()
    }

    /// The sessions that have ended, the last that was told first.
    pub(super) fn ended(&self) -> Vec<&ReplicaSession> {
        let mut ended = self.with_fate(Fate::Ended);
        ended.sort_by_key(|telling| std::cmp::Reverse(telling.number));
        ended.into_iter().map(|telling| &telling.session).collect()
    }

    fn with_fate(&self, fate: Fate) -> Vec<&Telling> {
        self.sessions.values().filter(|telling| telling.fate == fate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: usize, progress: i32, kinds: &[Kind]) -> ReplicaSessionChange {
        let is_over = kinds.contains(&Ended);
        let state = if is_over { State::Stopped } else { State::Working };
        let session = ReplicaSession {
            id: id.to_string(),
            state: state.into(),
            progress_percent: Some(progress),
            ..ReplicaSession::default()
        };
        ReplicaSessionChange {
            replica_session: Some(session),
            kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
            ..ReplicaSessionChange::default()
        }
    }

    #[test]
    fn what_a_watch_repeats_is_not_told_again() {
        let mut told = Told::default();
        for (progress, kinds, news) in [
            (1, &[Appeared][..], Some(vec![Appeared])),
            (1, &[Appeared], None),
            (2, &[Appeared], Some(vec![Changed])),
            (100, &[Appeared, Ended], Some(vec![Ended])),
            (100, &[Ended], None),
            (100, &[Changed], Some(vec![Changed])),
        ] {
            assert_eq!(told.news(&change(1, progress, kinds)), news, "{progress} {kinds:?}");
        }
        for (kinds, news) in [
            (&[Appeared][..], Some(vec![Appeared])),
            (&[Left], Some(vec![Left])),
            (&[Left], None),
            (&[Appeared], Some(vec![Appeared])),
        ] {
            assert_eq!(told.news(&change(2, 5, kinds)), news, "{kinds:?}");
        }
    }

    #[test]
    fn that_a_session_is_gone_is_told_once_whatever_its_last_state() {
        for gone in [Left, Removed] {
            let mut told = Told::default();
            told.news(&change(1, 5, &[Appeared]));
            assert_eq!(told.news(&change(1, 5, &[gone])), Some(vec![gone]));
            assert_eq!(told.news(&change(1, 6, &[gone])), None);
            assert_eq!(told.news(&change(1, 6, &[Appeared])), Some(vec![Appeared]));
        }
    }

    #[test]
    fn a_session_that_is_known_has_not_appeared_when_a_watch_begins_anew() {
        let mut told = Told::new(vec![Appeared]);
        assert_eq!(told.news(&change(1, 1, &[Appeared])), Some(vec![Appeared]));
        told.begin_anew();
        assert_eq!(told.news(&change(1, 2, &[Appeared])), None);
        assert_eq!(told.news(&change(2, 2, &[Appeared])), Some(vec![Appeared]));
    }

    #[test]
    fn sessions_that_a_new_watch_does_not_find_have_vanished() {
        let mut told = Told::default();
        for id in 1..=3 {
            told.news(&change(id, 1, &[Appeared]));
        }
        told.news(&change(3, 100, &[Ended]));
        told.begin_anew();
        told.news(&change(2, 1, &[Appeared]));
        let vanished: Vec<_> = told.vanished().into_iter().map(|session| session.id).collect();
        assert_eq!(vanished, ["1"]);
        assert_eq!((told.running().len(), told.ended().len()), (1, 1));
        assert!(told.vanished().is_empty());
    }

    #[test]
    fn only_the_latest_are_remembered() {
        let mut told = Told::default();
        for round in 0..3 {
            for id in 0..2 * MAX_SESSIONS {
                told.news(&change(id, round, &[Appeared]));
                told.news(&change(0, i32::try_from(id).unwrap(), &[Changed]));
            }
        }
        assert_eq!(told.sessions.len(), MAX_SESSIONS);
        assert!(told.order.len() <= 2 * MAX_SESSIONS);
        assert!(told.sessions.contains_key("0"));
    }
}
