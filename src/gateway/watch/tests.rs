//! When heartbeats are sent.

use std::{net::SocketAddr, sync::OnceLock};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::watch::Sender;
use tonic::Code;

use super::*;
use crate::{
    enterprise_manager::{CallerKey, ConcurrencyLimit, Error},
    gateway::{call_context::CallTools, failure_log::FailureLog, request_id::RequestId},
    listener::{ConnectionHandle, Peer},
    operations::{metrics::Metrics, traces::TraceContext},
    proto::CallKind,
    sharing::CurrentRead,
};

const INTERVAL: Duration = Duration::from_secs(25);
const ALMOST: Duration = Duration::from_millis(24_999);

/// A poller's state with its outage of this number.
fn state(number: u64) -> PollerState {
    let outage = Outage {
        error: Error::Unavailable { why: String::new(), retry_after: None },
        started_at: Timestamp::UNIX_EPOCH,
        next_at: Timestamp::UNIX_EPOCH,
    };
    PollerState { outage: Some(Arc::new(outage)), outage_number: number, ..PollerState::default() }
}

/// A watch that has been sent nothing, with a deadline after `time`.
async fn started(time: Duration) -> (Sender<PollerState>, Events) {
    let (sender, receiver) = tokio::sync::watch::channel(state(1));
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let metrics = Metrics::new();
    let call = CallContext {
        kind: CallKind::Watch,
        request_id: RequestId::Generated(1),
        trace: TraceContext::default(),
        caller: None,
        caller_key: CallerKey::new(1),
        connection: ConnectionHandle::new(Peer { address, is_local: true, identity: None }),
        tools: Arc::new(CallTools {
            permits: ConcurrencyLimit::new(8, metrics.upstream.permits()),
            metrics,
            failures: FailureLog::new(),
        }),
        read: CurrentRead::default(),
        arrived: Instant::now(),
        deadline: Instant::now() + time,
        session: OnceLock::new(),
    };
    let id = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f002".parse().unwrap();
    let subscription = Subscription::new(receiver, Arc::default(), CallerKey::new(1));
    (sender, watch(Arc::new(call), id, subscription, INTERVAL).await.unwrap())
}

/// The next message; panics if none is ready within `time`.
async fn within(events: &mut Events, time: Duration) -> Event {
    let next = tokio::time::timeout(time, events.next()).await;
    next.expect("in time").expect("no end").expect("no failure")
}

fn is_heartbeat(message: &Event) -> bool {
    matches!(message.event, Some(Kind::Heartbeat(_)))
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_exactly_when_nothing_else_has_been_sent_for_the_interval() {
    let (sender, mut events) = started(INTERVAL * 100).await;
    let first = within(&mut events, Duration::ZERO).await;
    assert!(!is_heartbeat(&first));
    let promised = first.heartbeat_interval.expect("the first message promises it");
    assert_eq!((promised.seconds, promised.nanos), (25, 0));

    let began = Instant::now();
    for number in 1..=3 {
        let message = within(&mut events, INTERVAL * 2).await;
        assert!(is_heartbeat(&message), "{message:?}");
        assert_eq!(message.heartbeat_interval, None, "only the first message has it");
        assert_eq!(began.elapsed(), INTERVAL * number);
    }
    // Each event puts the next heartbeat off.
    for number in 2..=9 {
        tokio::time::advance(ALMOST).await;
        sender.send_replace(state(number));
        assert!(!is_heartbeat(&within(&mut events, Duration::ZERO).await));
    }
    let last = Instant::now();
    assert!(is_heartbeat(&within(&mut events, INTERVAL * 2).await));
    assert_eq!(last.elapsed(), INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_has_one_heartbeat_waiting_and_none_if_there_is_news() {
    let (sender, mut events) = started(INTERVAL * 100).await;
    within(&mut events, Duration::ZERO).await;
    tokio::time::advance(INTERVAL * 12).await;
    assert!(is_heartbeat(&within(&mut events, Duration::ZERO).await));
    let early = tokio::time::timeout(ALMOST, events.next()).await;
    assert!(early.is_err(), "{early:?}");

    tokio::time::advance(INTERVAL * 12).await;
    sender.send_replace(state(2));
    assert!(!is_heartbeat(&within(&mut events, Duration::ZERO).await));
    let early = tokio::time::timeout(ALMOST, events.next()).await;
    assert!(early.is_err(), "{early:?}");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_do_not_move_the_deadline() {
    let time = Duration::from_secs(60);
    let (_sender, mut events) = started(time).await;
    let began = Instant::now();
    within(&mut events, Duration::ZERO).await;
    for _ in 0..2 {
        assert!(is_heartbeat(&within(&mut events, INTERVAL).await));
    }
    let status = events.next().await.unwrap().unwrap_err();
    assert_eq!((status.code(), began.elapsed()), (Code::DeadlineExceeded, time));
    assert!(events.next().await.is_none());
}
