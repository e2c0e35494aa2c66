//! Signs of life of a watch on which nothing happens.

use std::time::{Duration, Instant};

use replica_session_gateway::proto::v1::{
    WatchReplicaSessionResponse, watch_replica_session_response::Event,
};
use simulator::Options;
use tokio::time::timeout;

use super::support::{
    Events, SOON, UNKNOWN, fault, metric, outage, running, snapshot, start_with, watch,
};

const INTERVAL: Duration = Duration::from_millis(100);

async fn message(events: &mut Events) -> WatchReplicaSessionResponse {
    timeout(SOON, events.message()).await.unwrap().unwrap().unwrap()
}

/// The read time of the next message, which must be a heartbeat.
async fn heartbeat(events: &mut Events) -> Option<(i64, i32)> {
    let message = message(events).await;
    assert_eq!(message.heartbeat_interval, None);
    match message.event {
        Some(Event::Heartbeat(it)) => it.read_time.map(|time| (time.seconds, time.nanos)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watch_on_which_nothing_happens_sends_the_heartbeats_that_its_first_event_promises() {
    let setup = start_with(Options::default(), |settings| {
        settings.watch.heartbeat = INTERVAL;
        settings.watch.interval = Duration::from_millis(20);
        settings.watch.longest_interval = Duration::from_millis(20);
    })
    .await;
    setup.simulator.answer_with(UNKNOWN, running(UNKNOWN, 42));
    let began = Instant::now();
    let mut events = watch(&setup.client, UNKNOWN).await.unwrap();
    let first = message(&mut events).await;
    let interval = first.heartbeat_interval.unwrap();
    assert_eq!((interval.seconds, interval.nanos), (0, 100_000_000));
    let Some(Event::Snapshot(first)) = first.event else { panic!("{first:?}") };

    let mut last = first.read_time.map(|time| (time.seconds, time.nanos));
    for number in 1..=4 {
        // The session was read again meanwhile, and had not changed.
        let read_at = heartbeat(&mut events).await;
        assert!(read_at > last, "{read_at:?} {last:?}");
        assert!(began.elapsed() >= INTERVAL * number);
        last = read_at;
    }
    assert_eq!(metric(&setup, "gateway_watch_events_total").await, 1);
    assert!(metric(&setup, "gateway_watch_heartbeats_total").await >= 4);

    // Another watch of the same session has its own promise.
    let mut other = watch(&setup.client, UNKNOWN).await.unwrap();
    assert_eq!(message(&mut other).await.heartbeat_interval, Some(interval));
    heartbeat(&mut other).await;
}

#[tokio::test]
async fn while_em_fails_heartbeats_say_when_it_last_answered() {
    let setup = start_with(Options::default(), |settings| {
        settings.watch.heartbeat = INTERVAL;
        settings.watch.interval = Duration::from_secs(2);
        settings.watch.longest_interval = Duration::from_secs(2);
    })
    .await;
    setup.simulator.set_faults([fault("503")]);
    let mut never = watch(&setup.client, UNKNOWN).await.unwrap();
    outage(&mut never).await;
    assert_eq!(heartbeat(&mut never).await, None);
    drop(never);

    setup.simulator.set_faults([]);
    let id = "5e550000-0000-4000-8000-000000000001";
    setup.simulator.answer_with(id, running(id, 42));
    let mut events = watch(&setup.client, id).await.unwrap();
    snapshot(&mut events).await;
    let before = heartbeat(&mut events).await;
    assert!(before.is_some());
    setup.simulator.set_faults([fault("503")]);
    loop {
        match message(&mut events).await.event {
            Some(Event::Outage(_)) => break,
            Some(Event::Heartbeat(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heartbeat(&mut events).await, before);
}
