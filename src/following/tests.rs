//! Followers, cursors and marks of one table; `world.rs` has many at once.

mod world;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    change::{Change, ChangeKind},
    cursor::{Cursor, Step},
    lookback::next_lookback,
    mark::Mark,
    resumed::{Missed, Resumed},
    table::{Look, MAX_SESSIONS, Table},
    unreadable::Unreadable,
};
use crate::enterprise_manager::{
    EntityFields, Reading, ReplicaSession, SessionFilter, SessionId, SessionState,
};

const LOOKBACK: SignedDuration = SignedDuration::from_hours(24);
const SHORT: SignedDuration = SignedDuration::from_mins(30);

fn id(number: u64) -> SessionId {
    SessionId::from_bytes(u128::from(number).to_be_bytes())
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + 60 * minute).unwrap()
}

fn reading(number: u64, progress: i32, ended: Option<i64>, now: i64) -> Arc<Reading> {
    let state = if ended.is_some() { SessionState::Stopped } else { SessionState::Working };
    let entity = EntityFields {
        state: Some(state),
        ended_at: ended.map(at),
        progress_percent: Some(progress),
        ..EntityFields::default()
    };
    let session = ReplicaSession { entity: Some(entity), ..ReplicaSession::bare(id(number)) };
    Arc::new(Reading { session, read_at: at(now) })
}

/// One look that finds these.
fn look(listed: Vec<Arc<Reading>>, since: i64) -> Look {
    Look {
        listed,
        read: Vec::new(),
        unknown: Vec::new(),
        unreadable: Unreadable::default(),
        since: at(since),
    }
}

fn apply(table: &mut Table, look: Look, now: i64) {
    table.apply(look, &SessionFilter::default(), at(now), LOOKBACK);
}

fn change(cursor: &mut Cursor, table: &Table) -> Option<Change> {
    match cursor.next(table)? {
        Step::Change(change) => Some(change),
        Step::Lost => panic!("changes are lost"),
    }
}

/// The numbers of the sessions that a follower is told of, with what has happened.
fn told(cursor: &mut Cursor, table: &Table) -> Vec<(u64, Vec<ChangeKind>, bool)> {
    let changes = std::iter::from_fn(|| change(cursor, table));
    changes
        .map(|change| (number(&change), change.kinds().collect(), change.may_have_skipped))
        .collect()
}

fn number(change: &Change) -> u64 {
    u64::try_from(u128::from_be_bytes(*change.reading.session.id.as_bytes())).unwrap()
}

#[test]
fn a_slow_reader_gets_the_newest_state_and_is_told_that_others_were_skipped() {
    use ChangeKind::{Appeared, Changed, Ended};
    let mut table = Table::default();
    apply(&mut table, look(vec![reading(1, 0, None, 0), reading(2, 0, None, 0)], -1440), 0);
    let mut cursor = Cursor::fresh(&table);
    assert_eq!(told(&mut cursor, &table).len(), 2);
    // Once, and then twice before it reads on.
    apply(&mut table, look(vec![reading(1, 10, None, 1), reading(2, 10, None, 1)], -30), 1);
    assert_eq!(number(&change(&mut cursor, &table).unwrap()), 1);
    apply(&mut table, look(vec![reading(1, 20, None, 2), reading(2, 20, None, 2)], -30), 2);
    apply(&mut table, look(vec![reading(1, 20, None, 3), reading(2, 100, Some(2), 3)], -30), 3);
    apply(&mut table, look(vec![reading(1, 20, None, 4), reading(3, 0, None, 4)], -30), 4);
    apply(&mut table, look(vec![reading(1, 20, None, 5), reading(3, 100, Some(5), 5)], -30), 5);
    let rest = told(&mut cursor, &table);
    assert_eq!(
        rest,
        [(2, vec![Ended], true), (1, vec![Changed], false), (3, vec![Appeared, Ended], false)]
    );
    assert_eq!(told(&mut cursor, &table), []);
}

#[test]
fn what_is_older_than_the_table_is_told_to_be_lost() {
    let mut table = Table::default();
    apply(&mut table, look(vec![reading(1, 0, None, 0)], -1440), 0);
    let mut cursor = Cursor::fresh(&table);
    told(&mut cursor, &table);
    apply(&mut table, look(vec![reading(1, 100, Some(1), 1)], -30), 1);
    // It does not read for more than a day.
    apply(&mut table, look(Vec::new(), 1500), 1530);
    apply(&mut table, look(vec![reading(2, 0, None, 1531)], 1500), 1531);
    assert!(matches!(cursor.next(&table), Some(Step::Lost)));
    assert_eq!(number(&change(&mut cursor, &table).unwrap()), 2);
    assert!(cursor.next(&table).is_none());
}

#[test]
fn a_run_that_is_over_does_not_go_on() {
    let mut table = Table::default();
    apply(&mut table, look(vec![reading(1, 100, Some(0), 0)], -1440), 0);
    let mut cursor = Cursor::fresh(&table);
    apply(&mut table, look(vec![reading(1, 50, None, 1)], -30), 1);
    assert_eq!(told(&mut cursor, &table), []);
}

#[test]
fn a_table_stays_within_its_limit_and_knows_since_when_it_is_complete() {
    let mut table = Table::default();
    let count = i64::try_from(MAX_SESSIONS).unwrap();
    // One ends every half minute.
    for minute in 0..count {
        let ended: Vec<_> = (0..2)
            .map(|half| {
                reading(u64::try_from(2 * minute + half).unwrap(), 100, Some(minute), minute)
            })
            .collect();
        apply(&mut table, look(ended, minute - if minute == 0 { 1440 } else { 30 }), minute);
    }
    let complete_since = table.complete_since().unwrap();
    let held = table.entries().filter(|(_, entry)| entry.ended_at() >= Some(at(count - 990)));
    assert_eq!(held.count(), 2 * 990);
    assert!(table.entries().count() <= MAX_SESSIONS);
    assert!(
        at(count - 1010) < complete_since && complete_since <= at(count - 990),
        "{complete_since}"
    );
}

#[test]
fn an_end_is_not_told_again_when_looks_go_back_further_than_before() {
    use ChangeKind::{Appeared, Changed, Ended};
    let (mut table, filter) = (Table::default(), SessionFilter::default());
    let hours = SignedDuration::from_hours;
    table.apply(look(vec![reading(1, 0, None, 0)], -360), &filter, at(0), hours(6));
    let mut cursor = Cursor::fresh(&table);
    assert_eq!(told(&mut cursor, &table), [(1, vec![Appeared], false)]);
    table.apply(look(vec![reading(1, 100, Some(1), 1)], -29), &filter, at(1), hours(6));
    assert_eq!(told(&mut cursor, &table), [(1, vec![Ended], false)]);
    let mark = Mark::of(&table, &cursor).unwrap();
    table.apply(look(Vec::new(), 370), &filter, at(400), hours(6));
    assert_eq!(table.len(), 0);
    // It is not known which of these have been told: here only one is new, to one that was cut off meanwhile.
    let listed = [(1, 1), (2, 2)].map(|(id, ended)| reading(id, 100, Some(ended), 401));
    table.apply(look(listed.into(), -319), &filter, at(401), hours(12));
    assert_eq!(told(&mut cursor, &table), []);
    let Resumed { pending, missed, absent, unlisted, .. } = mark.resume(&table);
    assert!(missed.is_none() && absent.is_empty());
    let mut resumed = Cursor::resumed(&table, pending, Vec::new(), unlisted, Vec::new());
    assert_eq!(told(&mut resumed, &table), [(2, vec![Appeared, Ended], false)]);
    // What changes afterwards, and what ends late within the time that is known, is told to all.
    let listed = [(1, 99, 1), (3, 100, 200)];
    let listed = listed.map(|(id, progress, ended)| reading(id, progress, Some(ended), 402));
    table.apply(look(listed.into(), -318), &filter, at(402), hours(12));
    let news = [(1, vec![Changed], false), (3, vec![Appeared, Ended], false)];
    assert_eq!(told(&mut cursor, &table), news);
}

#[test]
fn a_mark_that_is_too_old_says_what_may_be_missing() {
    let mut table = Table::default();
    apply(&mut table, look(vec![reading(1, 100, Some(-5), 0)], -1440), 0);
    let cursor = Cursor::fresh(&table);
    let mark = Mark::of(&table, &cursor).unwrap();
    for (minutes, is_certain) in [(11 * 60, true), (12 * 60 + 1, false)] {
        let mut later = Table::default();
        let since = minutes - 1440;
        let listed =
            if -5 >= since { vec![reading(1, 100, Some(-5), minutes)] } else { Vec::new() };
        apply(&mut later, look(listed, since), minutes);
        let Resumed { missed, pending, .. } = mark.resume(&later);
        assert!(pending.is_empty(), "{minutes}");
        if is_certain {
            assert_eq!(missed, None, "{minutes}");
        } else {
            let Missed { from, before } = missed.unwrap();
            assert!(from == Some(at(-720)) && before >= at(since), "{from:?} {before}");
        }
    }
}

/// One look that finds these, and that Enterprise Manager no longer knows this one.
fn look_without(unknown: u64, minute: i64) -> Look {
    Look { unknown: vec![id(unknown)], ..look(Vec::new(), minute - 30) }
}

#[test]
fn a_session_that_comes_back_appears_again_to_those_who_know_that_it_was_gone() {
    use ChangeKind::{Appeared, Changed, Ended, Removed};
    let mut table = Table::default();
    apply(&mut table, look(vec![reading(1, 0, None, 0)], -1440), 0);
    let mut quick = Cursor::fresh(&table);
    assert_eq!(told(&mut quick, &table), [(1, vec![Appeared], false)]);
    let [mut slow, mut late, mut slowest] = [0; 3].map(|_| Cursor::fresh(&table));
    for cursor in [&mut slow, &mut slowest] {
        assert_eq!(told(cursor, &table), [(1, vec![Appeared], false)]);
    }
    apply(&mut table, look_without(1, 1), 1);
    assert_eq!(told(&mut quick, &table), [(1, vec![Removed], false)]);
    apply(&mut table, look(vec![reading(1, 20, None, 2)], -28), 2);
    assert_eq!(told(&mut quick, &table), [(1, vec![Appeared], false)]);
    // One has not read meanwhile, and another has not begun to.
    assert_eq!(told(&mut slow, &table), [(1, vec![Changed], true)]);
    assert_eq!(told(&mut late, &table), [(1, vec![Appeared], false)]);
    let mark = Mark::of(&table, &slowest).unwrap();
    assert_eq!(mark.running, [(id(1), 0)], "it is known as running, in another state");

    // Back with its end.
    apply(&mut table, look_without(1, 3), 3);
    assert_eq!(told(&mut quick, &table), [(1, vec![Removed], false)]);
    apply(&mut table, look(vec![reading(1, 100, Some(4), 4)], -26), 4);
    assert_eq!(told(&mut quick, &table), [(1, vec![Appeared, Ended], false)]);
    for cursor in [&mut slow, &mut late, &mut slowest] {
        assert_eq!(told(cursor, &table), [(1, vec![Ended], true)]);
    }
}

#[test]
fn a_run_that_was_told_to_be_over_does_not_end_again_elsewhere() {
    let mut table = Table::default();
    apply(&mut table, look(vec![reading(1, 100, Some(0), 0)], -1440), 0);
    let mark = Mark::of(&table, &Cursor::fresh(&table)).unwrap();
    let mut other = Table::default();
    apply(&mut other, look(vec![reading(1, 50, None, 1)], -1439), 1);
    let Resumed { pending, absent, unlisted, .. } = mark.resume(&other);
    assert!(absent.is_empty());
    let mut cursor = Cursor::resumed(&other, pending, Vec::new(), unlisted, Vec::new());
    assert_eq!(told(&mut cursor, &other), []);
    let again = Mark::of(&other, &cursor).unwrap();
    assert_eq!((again.running, again.ended, again.unlisted), (vec![], vec![], mark.ended));
    apply(&mut other, look(vec![reading(1, 100, Some(2), 2)], -28), 2);
    assert_eq!(told(&mut cursor, &other), []);
}

#[test]
fn an_end_that_no_look_lists_any_longer_is_looked_for_once_and_never_told_again() {
    use ChangeKind::{Appeared, Ended};
    let mut table = Table::default();
    apply(&mut table, look(vec![reading(1, 100, Some(-5), 0)], -1440), 0);
    let mut mark = Mark::of(&table, &Cursor::fresh(&table)).unwrap();
    assert_eq!((mark.ended.len(), mark.unlisted.len()), (1, 0));
    // Enterprise Manager has lost it, and the follower is cut off again and again.
    for (minute, is_certain) in [(1, false), (2, true), (3, true)] {
        let mut other = Table::default();
        apply(&mut other, look(vec![reading(2, 0, None, minute)], minute - 1440), minute);
        let resumed = mark.resume(&other);
        assert_eq!(resumed.is_certain(), is_certain, "{minute}");
        let Resumed { pending, absent, unlisted, .. } = resumed;
        assert!(absent.is_empty());
        let mut cursor = Cursor::resumed(&other, pending, Vec::new(), unlisted, Vec::new());
        told(&mut cursor, &other);
        mark = Mark::of(&other, &cursor).unwrap();
        assert_eq!((mark.ended.len(), mark.unlisted.len()), (0, 1), "{minute}");
    }
    // It is listed again, and then it is one that has ended as others have.
    let mut other = Table::default();
    apply(&mut other, look(vec![reading(2, 0, None, 4)], -1436), 4);
    let Resumed { pending, unlisted, .. } = mark.resume(&other);
    let mut cursor = Cursor::resumed(&other, pending, Vec::new(), unlisted, Vec::new());
    let listed = [(1, 100, Some(-5)), (2, 0, None), (3, 100, Some(-5))];
    let listed = listed.map(|(id, progress, ended)| reading(id, progress, ended, 5));
    apply(&mut other, look(listed.into(), -1435), 5);
    assert_eq!(told(&mut cursor, &other), [(3, vec![Appeared, Ended], false)]);
    let mark = Mark::of(&other, &cursor).unwrap();
    assert_eq!((mark.ended.len(), mark.unlisted.len()), (2, 0));
}

#[test]
fn looks_go_back_all_the_way_again_when_fewer_sessions_end() {
    let hours = SignedDuration::from_hours;
    for (before, found, after) in
        [(6, 1001, 6), (6, 1000, 12), (12, 900, 24), (24, 100, 24), (18, 1, 24)]
    {
        let next = next_lookback(hours(before), found, MAX_SESSIONS);
        assert_eq!(next, hours(after), "{before} h, {found}");
    }
    // Others leave room for a hundred.
    for (before, found, after) in [(24, 200, 12), (12, 100, 12), (6, 50, 12)] {
        let next = next_lookback(hours(before), found, 100);
        assert_eq!(next, hours(after), "{before} h, {found}");
    }
    assert_eq!(next_lookback(SHORT, 200, 100), SHORT);
}
