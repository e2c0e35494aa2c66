//! Followers of a made-up Enterprise Manager: it learns of sessions late and in any order, its sessions
//! change, end, vanish, and cannot be read for hours, and followers are cut off anywhere and go on at another replica.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::Arc,
};

use fastrand::Rng;

use super::{LOOKBACK, SHORT, at, number, reading};
use crate::{
    enterprise_manager::{BadResponse, Reading, ReplicaSession, SessionFilter, SessionId},
    following::{
        change::{Change, ChangeKind},
        cursor::{Cursor, Step},
        entry::Gone,
        mark::Mark,
        resumed::{Missed, Resumed, change_of_absent},
        table::{Look, Table},
        unreadable::{Listed, Unreadable},
    },
};

/// A run, as it is and as Enterprise Manager learns of it.
#[derive(Debug)]
struct Run {
    began: i64,
    ended: i64,
    /// When Enterprise Manager learns of it, and of its end.
    known: i64,
    end_known: i64,
    /// When Enterprise Manager says when it ended: until then it is stopped, without an end time.
    end_timed: i64,
    /// When Enterprise Manager forgets it, although it does not know its end.
    removed: Option<i64>,
    /// When what it says of the run cannot be read, although it is listed.
    unreadable: Range<i64>,
    /// When it does not know it after everybody has been told of its end: for a while that is over as long as marks name
    /// the end, or for ever.
    lost: Range<i64>,
}

struct World {
    runs: Vec<Run>,
}

impl World {
    /// `a_day` runs a day for three days. Enterprise Manager learns of some up to so many minutes late.
    fn new(rng: &mut Rng, a_day: i64, latest: i64) -> Self {
        let runs = (0..3 * a_day).map(|_| {
            let began = rng.i64(-1440..2880);
            let longest = if rng.u8(..20) == 0 { 2000 } else { 60 };
            let ended = began + rng.i64(1..longest);
            // Mostly by the schedule, sometimes hours late.
            let mut late = || if rng.u8(..10) == 0 { rng.i64(0..latest) } else { rng.i64(0..15) };
            let known = began + late();
            let end_known = known.max(ended + late());
            let removed = (rng.u8(..40) == 0).then(|| known + rng.i64(1..30));
            let removed = removed.filter(|at| *at < end_known);
            let mut unreadable = 0..0;
            if rng.u8(..10) == 0 {
                let from = rng.i64(known..=end_known);
                // Some for longer than a mark counts what has ended.
                let until = if rng.bool() { end_known + rng.i64(0..60) } else { ended + 13 * 60 };
                unreadable = from..until.max(from);
            }
            let mut end_timed = end_known;
            if unreadable.is_empty() && rng.u8(..10) == 0 {
                end_timed += rng.i64(1..120);
            }
            let lost = 0..0;
            Run { began, ended, known, end_known, end_timed, removed, unreadable, lost }
        });
        Self { runs: runs.collect() }
    }

    /// Enterprise Manager loses some runs, so long after it has learned that they are over.
    fn lose_some(&mut self, rng: &mut Rng, after: i64) {
        for run in &mut self.runs {
            let (from, until) = (run.end_timed + after, run.ended + 11 * 60);
            if run.unreadable.is_empty() && 0 < from && from < until && rng.u8(..5) == 0 {
                run.lost = from..if rng.bool() { rng.i64(from..until) } else { i64::MAX };
            }
        }
    }

    fn read(&self, index: usize, now: i64) -> Option<Arc<Reading>> {
        let run = &self.runs[index];
        let is_lost = run.lost.contains(&now);
        if now < run.known || run.removed.is_some_and(|at| at <= now) || is_lost {
            return None;
        }
        let ended = (run.end_known <= now).then_some(run.ended);
        let progress = i32::try_from((now - run.began) / 15).unwrap();
        let progress = if ended.is_some() { 100 } else { progress };
        let mut reading = reading(index as u64, progress, ended, now);
        if now < run.end_timed {
            let reading = Arc::get_mut(&mut reading).unwrap();
            reading.session.entity.as_mut().unwrap().ended_at = None;
        }
        Some(reading)
    }

    fn look(&self, table: &mut Table, now: i64, is_long: bool) {
        let lookback = if is_long { LOOKBACK } else { SHORT };
        let since = at(now) - lookback;
        let mut listed = Listed::default();
        for (index, run) in self.runs.iter().enumerate() {
            let Some(reading) = self.read(index, now) else { continue };
            let entity = reading.session.entity.as_ref().unwrap();
            if entity.is_over() && entity.ended_at.is_none_or(|ended_at| ended_at < since) {
                continue;
            }
            if run.unreadable.contains(&now) {
                let why = BadResponse::NoFields(String::new());
                listed.unreadable.push((Some(reading.session.id), why));
            } else {
                listed.sessions.insert(reading.session.id, reading);
            }
        }
        let here = Unreadable::of(&mut listed, |id| {
            table.entry(id).is_some_and(|entry| entry.gone() == Some(Gone::Ended))
        });
        let mut unreadable = here.clone();
        if !is_long {
            unreadable.keep(table.unreadable(), &listed);
        }
        let mut missing: BTreeSet<_> = table.running().collect();
        missing.extend(table.unreadable().ids());
        missing.retain(|id| !listed.sessions.contains_key(id) && !here.contains(*id));
        let index = |id: SessionId| usize::try_from(u128::from_be_bytes(*id.as_bytes())).unwrap();
        let (mut read, mut unknown) = (Vec::new(), Vec::new());
        for id in missing {
            let reading = self.read(index(id), now);
            if reading.is_some() && self.runs[index(id)].unreadable.contains(&now) {
                continue;
            }
            unreadable.remove(id);
            match reading {
                Some(reading) => read.push(reading),
                None => unknown.push(id),
            }
        }
        let listed = listed.sessions.into_values().collect();
        let look = Look { listed, read, unknown, unreadable, since };
        table.apply(look, &SessionFilter::default(), at(now), LOOKBACK);
    }
}

/// A gateway with its poller.
#[derive(Default)]
struct Replica {
    table: Table,
    looked_long: Option<i64>,
    /// Whether others follow here.
    is_followed: bool,
}

impl Replica {
    /// Looks as the poller does, or goes back all the way.
    fn look(&mut self, world: &World, now: i64, all_the_way: bool) {
        let is_long = all_the_way || self.looked_long.is_none_or(|at| now - at >= 15);
        world.look(&mut self.table, now, is_long);
        if is_long {
            self.looked_long = Some(now);
        }
    }

    /// As a follower begins.
    fn resume(&mut self, world: &World, now: i64, mark: &Mark) -> (Cursor, Option<Missed>) {
        self.look(world, now, false);
        if self.looked_long != Some(now) && !mark.resume(&self.table).is_certain() {
            self.look(world, now, true);
        }
        let Resumed { pending, missed, absent, unlisted, mut unreadable, .. } =
            mark.resume(&self.table);
        let elsewhere = absent.iter().filter_map(|id| {
            let index = usize::try_from(u128::from_be_bytes(*id.as_bytes())).unwrap();
            let is_unreadable = world.runs[index].unreadable.contains(&now);
            let reading = world.read(index, now).filter(|_| !is_unreadable);
            let is_known = reading.is_some();
            let unknown = || Reading { session: ReplicaSession::bare(*id), read_at: at(now) };
            let reading = reading.unwrap_or_else(|| Arc::new(unknown()));
            let change = change_of_absent(reading, is_known, &SessionFilter::default());
            unreadable.extend(change.is_none().then_some(*id));
            change
        });
        let elsewhere = elsewhere.collect();
        (Cursor::resumed(&self.table, pending, elsewhere, unlisted, unreadable), missed)
    }
}

/// What a follower has been told, and what it cannot have been told.
#[derive(Default)]
struct Log {
    appeared: BTreeSet<u64>,
    over: HashMap<u64, ChangeKind>,
    missed: Vec<Missed>,
}

impl Log {
    fn add(&mut self, change: &Change, seed: u64) {
        let number = number(change);
        for kind in change.kinds() {
            match kind {
                ChangeKind::Appeared => {
                    assert!(self.appeared.insert(number), "{seed}: {number} appears twice");
                }
                ChangeKind::Changed => {
                    assert!(self.appeared.contains(&number), "{seed}: {number}");
                }
                over => {
                    assert!(self.appeared.contains(&number), "{seed}: {number} {over:?}");
                    assert_eq!(
                        self.over.insert(number, over),
                        None,
                        "{seed}: {number} is over twice"
                    );
                }
            }
        }
    }

    /// Whether it has been told that it may have missed this end.
    fn may_miss(&self, ended: i64) -> bool {
        self.missed.iter().any(|missed| {
            missed.from.is_none_or(|from| from <= at(ended)) && at(ended) < missed.before
        })
    }
}

/// What happens at replicas where this follower is not: others follow there, or nobody does and what they
/// know is forgotten.
fn pass(replicas: &mut [Replica], world: &World, now: i64, rng: &mut Rng) {
    for replica in replicas {
        let is_followed = replica.is_followed ^ (rng.u8(..40) == 0);
        if is_followed {
            replica.look(world, now, false);
        } else {
            *replica = Replica::default();
        }
        replica.is_followed = is_followed;
    }
}

/// Follows for two days, and is cut off all the time.
fn follow(seed: u64, a_day: i64, latest: i64, longest_absence: i64) -> (World, Log) {
    let mut rng = Rng::with_seed(seed);
    let mut world = World::new(&mut rng, a_day, latest);
    if longest_absence <= 60 {
        world.lose_some(&mut rng, longest_absence + 30);
    }
    let mut replicas = [Replica::default(), Replica::default()];
    let mut log = Log::default();
    let mut now = 0;
    let mut here = 0;
    replicas[here].look(&world, now, false);
    let mut cursor = Cursor::fresh(&replicas[here].table);
    while now < 2880 + 700 {
        let table = &replicas[here].table;
        let is_last = now >= 2880;
        // All that is new, or a part of it before it is cut off.
        let is_cut = !is_last && rng.u8(..4) == 0;
        while !(is_cut && rng.u8(..3) == 0) {
            match cursor.next(table) {
                Some(Step::Change(change)) => log.add(&change, seed),
                Some(Step::Lost) => panic!("{seed}: lost"),
                None => break,
            }
        }
        if is_cut {
            let mark = Mark::of(table, &cursor).unwrap();
            // Most come back at once.
            let longest = if rng.u8(..8) == 0 { longest_absence } else { 5 };
            let absence = rng.i64(0..longest);
            for minute in (now + 1..now + absence).step_by(5) {
                pass(&mut replicas, &world, minute, &mut rng);
            }
            now += absence;
            here = rng.usize(..2);
            let (resumed, missed) = replicas[here].resume(&world, now, &mark);
            log.missed.extend(missed);
            cursor = resumed;
        }
        now += rng.i64(1..6);
        replicas[here].look(&world, now, false);
        pass(&mut replicas[1 - here..][..1], &world, now, &mut rng);
    }
    while let Some(step) = cursor.next(&replicas[here].table) {
        let Step::Change(change) = step else { panic!("{seed}: lost") };
        log.add(&change, seed);
    }
    (world, log)
}

#[test]
fn every_end_is_told_once_wherever_and_whenever_a_follower_is_cut_off() {
    for seed in 0..16 {
        // Long absences, or short ones and runs that Enterprise Manager loses.
        let longest_absence = if seed < 12 { 10 * 60 } else { 60 };
        let (world, log) = follow(seed, 150, 300, longest_absence);
        let (mut ends, mut lost) = (0, 0);
        for (index, run) in world.runs.iter().enumerate() {
            let number = index as u64;
            if run.end_timed <= 0 && !run.unreadable.contains(&0) {
                assert!(!log.appeared.contains(&number), "{seed}: {number} was over before");
            } else if run.removed.is_some() {
                // It is told to be gone, if it was told to be there.
                let is_told = log.over.get(&number);
                let expected = log.appeared.contains(&number).then_some(&ChangeKind::Removed);
                assert_eq!(is_told, expected, "{seed}: {number}");
            } else if run.end_timed.max(run.unreadable.end) <= 2880 {
                let is_told = log.over.get(&number);
                // Unreadable for long, and nobody followed for long.
                if is_told.is_none() && run.unreadable.end - run.ended >= 12 * 60 {
                    assert!(log.may_miss(run.ended), "{seed}: {number} {run:?}");
                    lost += 1;
                } else {
                    assert_eq!(is_told, Some(&ChangeKind::Ended), "{seed}: {number} {run:?}");
                    ends += 1;
                }
            }
        }
        // Only such runs are a reason for it.
        assert!(log.missed.len() < 3 && lost < 3, "{seed}: {lost}, {:?}", log.missed);
        assert!(ends > 150, "{seed}: {ends}");
    }
}

#[test]
fn with_too_many_ends_for_a_mark_each_is_told_once_or_told_to_be_missing() {
    let mut missed = 0;
    for seed in 0..3 {
        let (world, log) = follow(seed, 1000, 700, 120);
        missed += log.missed.len();
        for (index, run) in world.runs.iter().enumerate() {
            let known = run.end_timed.max(run.unreadable.end);
            let is_due = known > 0 && known <= 2880 && run.removed.is_none();
            if is_due && !log.over.contains_key(&(index as u64)) {
                assert!(log.may_miss(run.ended), "{seed}: {index} at {}", run.ended);
            }
        }
    }
    assert!(missed > 0, "the test is about nothing");
}
