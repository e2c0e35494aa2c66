//! A list loses no session between two pages.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::Index};
use uuid::Uuid;

use super::*;
use crate::enterprise_manager::{EntityFields, SessionId};

/// A session created at this millisecond since 1970.
fn session(number: u128, millisecond: i64, view: View) -> ReplicaSession {
    let created_at = Timestamp::from_millisecond(millisecond).unwrap();
    let run = EntityFields { created_at: Some(created_at), ..EntityFields::default() };
    ReplicaSession {
        id: SessionId::from_bytes(number.to_be_bytes()),
        uid: String::new(),
        name: format!("a@b@{}", created_at.strftime("%Y-%m-%d %H:%M:%S")),
        r#type: String::new(),
        href: String::new(),
        links: Vec::new(),
        entity: (view == View::Entity).then_some(run),
        unmapped: BTreeMap::new(),
    }
}

/// EM's answer if it has these sessions, as pairs of creation time and number, and its page size is
/// at most `most`.
fn answer(
    list: &SessionList,
    position: &Position,
    sessions: &[(i64, u128)],
    most: u16,
) -> QueryPage<ReplicaSession> {
    let period = list.rest(position);
    let mut found: Vec<_> = sessions.to_vec();
    found.retain(|(millisecond, _)| {
        let at = Timestamp::from_millisecond(*millisecond).unwrap();
        period.from.is_none_or(|from| at >= from) && period.before.is_none_or(|end| at < end)
    });
    found.sort_unstable();
    if list.order == Order::NewestFirst {
        found.reverse();
    }
    let size = list.em_page_size(position).min(most);
    let pages = found.len().div_ceil(size.into());
    let skipped = usize::from(size) * usize::try_from(page_number(position) - 1).unwrap();
    let page = found.into_iter().skip(skipped).take(size.into());
    QueryPage {
        items: page.map(|(at, number)| session(number, at, list.view)).collect(),
        page_size: Some(size),
        pages_count: Some(u32::try_from(pages).unwrap()),
        has_next: false,
    }
}

fn list(view: View, order: Order, page_size: u16) -> SessionList {
    SessionList { filter: SessionFilter::default(), view, order, page_size }
}

proptest! {
    #[test]
    fn every_session_is_listed_once_while_others_are_created_and_deleted(
        seconds in prop::collection::vec((-3_i64..3, 0_i64..1000), 1..40),
        page_size in 1_u16..7,
        is_entity: bool,
        is_newest_first: bool,
        most in prop::sample::select(vec![2_u16, 5, 1000]),
        changes in prop::collection::vec((any::<Index>(), any::<bool>()), 0..12),
    ) {
        let view = if is_entity { View::Entity } else { View::Reference };
        let order = if is_newest_first { Order::NewestFirst } else { Order::OldestFirst };
        let list = list(view, order, page_size);
        let mut sessions: Vec<_> = seconds
            .iter()
            .zip(1_u128..)
            .map(|((second, millisecond), number)| (second * 1000 + millisecond, number))
            .collect();
        let all: Vec<_> = sessions.clone();
        let mut gone = Vec::new();
        let mut given = Vec::new();
        // With EM's page numbers, changes can move sessions between pages.
        let mut changes = changes.into_iter().filter(|_| most == 1000).zip(1000_u128..);
        let mut position = Position::default();
        loop {
            let page = list.page(&position, answer(&list, &position, &sessions, most), Timestamp::UNIX_EPOCH);
            prop_assert!(page.items.len() <= usize::from(page_size));
            given.extend(page.items.iter().map(|session| session.id.uuid()));
            let Some(next) = page.next else { break };
            // Every page makes progress.
            prop_assert!(next != position);
            position = next;
            if let Some(((index, is_new), number)) = changes.next() {
                if is_new {
                    sessions.push((60_000, number));
                } else if !sessions.is_empty() {
                    gone.push(sessions.swap_remove(index.index(sessions.len())).1);
                }
            }
        }
        for (_, number) in all {
            let id = Uuid::from_u128(number);
            let times = given.iter().filter(|other| **other == id).count();
            prop_assert!(times == 1 || (times == 0 && gone.contains(&number)), "{number}: {times}");
        }
    }
}

#[test]
fn a_second_with_more_sessions_than_a_position_remembers_is_paged_by_number() {
    let sessions: Vec<_> = (1..=230).map(|number| (5_000, number)).collect();
    for page_size in [1, 10, 50, 63, 64, 65, 200] {
        for most in [7, 64, 1000] {
            let list = list(View::Entity, Order::NewestFirst, page_size);
            let mut position = Position::default();
            let mut given = Vec::new();
            loop {
                let answer = answer(&list, &position, &sessions, most);
                let page = list.page(&position, answer, Timestamp::UNIX_EPOCH);
                assert!(page.items.len() <= page_size.into());
                given.extend(page.items.iter().map(|session| *session.id.as_bytes()));
                let Some(next) = page.next else { break };
                assert!(next != position && next.given.len() <= MAX_GIVEN);
                position = next;
            }
            let times = given.len();
            given.sort_unstable();
            given.dedup();
            assert_eq!((given.len(), times), (230, 230), "{page_size} {most}");
        }
    }
}

#[test]
fn a_list_without_times_is_paged_by_number() {
    let list = list(View::Reference, Order::NewestFirst, 2);
    let mut items = vec![session(1, 0, View::Reference), session(2, 0, View::Reference)];
    items[1].name = "renamed".to_owned();
    let answer = QueryPage { items, page_size: None, pages_count: None, has_next: true };
    let page = list.page(&Position::default(), answer, Timestamp::UNIX_EPOCH);
    let first = Some(Uuid::from_u128(1));
    let next = Position { skipped: 2, em_page_size: 2, page_begins: first, ..Position::default() };
    assert_eq!(page.next, Some(next));
}

#[test]
fn a_page_that_begins_like_the_one_before_it_is_refused() {
    let list = list(View::Reference, Order::NewestFirst, 2);
    let answer = |numbers: [u128; 2]| {
        let mut items = numbers.map(|number| session(number, 0, View::Reference)).to_vec();
        items[1].name = "renamed".to_owned();
        QueryPage { items, page_size: None, pages_count: Some(9), has_next: true }
    };
    let start = Position::default();
    list.check(&start, &answer([1, 2])).unwrap();
    let second = list.page(&start, answer([1, 2]), Timestamp::UNIX_EPOCH).next.unwrap();
    list.check(&second, &answer([3, 4])).unwrap();
    // A session has been added before: the last one of the page is the first of the next.
    list.check(&second, &answer([2, 3])).unwrap();
    let stuck = list.check(&second, &answer([1, 2]));
    assert_eq!(stuck, Err(BadResponse::NotAdvancing { number: 2 }));
}

#[test]
fn the_next_page_is_requested_by_time_with_the_caller_s_filter() {
    let mut list = list(View::Entity, Order::NewestFirst, 10);
    list.filter.created.from = Some("2025-01-01T00:00:00Z".parse().unwrap());
    let position = Position {
        second: Some(1_759_867_202),
        given: vec![Uuid::from_bytes([1; 16])],
        ..Position::default()
    };
    assert_eq!(
        list.path(&position),
        "api/query?type=ReplicaJobSession&format=Entities&filter=CreationTime%3E%3D%222025-01-01T00%3A00%3A00Z%22%3BCreationTime%3C%222025-10-07T20%3A00%3A03Z%22&sortDesc=CreationTime&pageSize=11&page=1"
    );
    list.order = Order::OldestFirst;
    list.view = View::Reference;
    assert_eq!(
        list.path(&position),
        "api/query?type=ReplicaJobSession&filter=CreationTime%3E%3D%222025-10-07T20%3A00%3A02Z%22&sortAsc=CreationTime&pageSize=11&page=1"
    );
}
