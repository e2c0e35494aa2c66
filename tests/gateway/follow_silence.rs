//! `WatchSessions` while EM accepts the reads of one session and does not answer them.

use std::time::Duration;

use replica_session_gateway::proto::v1::{
    replica_session_change::Kind, watch_sessions_response::Event,
};
use simulator::{Options, Session};

use super::{
    follow_support::{
        Events, INTERVAL, event, follow, from_token, id, leave, look_every, running, told,
        until_current, working,
    },
    support::{Setup, start_with},
};

/// A gateway that soon gives up a read, and looks at this interval.
async fn start(interval: Duration) -> Setup {
    start_with(Options { running: 0, ..Options::default() }, |settings| {
        look_every(settings, interval);
        settings.watch.read_timeout = Duration::from_millis(300);
    })
    .await
}

async fn outage(events: &mut Events) {
    let (outage, _) = event(events).await;
    let Event::Outage(outage) = outage else { panic!("{outage:?}") };
    assert_eq!(outage.reason, "EM_UNAVAILABLE");
}

#[tokio::test]
async fn a_look_that_waits_for_one_session_is_an_outage() {
    let setup = start(INTERVAL).await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, working()).await.unwrap();
    assert_eq!(told(&mut events).await, (1, vec![Kind::Appeared]));
    until_current(&mut events).await;
    setup.simulator.set_silent(&id(1), true);
    setup.simulator.set_session(Session { state: "Stopping".to_owned(), ..running(1, 10) });
    outage(&mut events).await;
    setup.simulator.set_silent(&id(1), false);
    loop {
        match event(&mut events).await.0 {
            Event::Outage(_) => {}
            Event::Change(change) => {
                assert_eq!(change.kinds().collect::<Vec<_>>(), [Kind::Left]);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_resumption_that_waits_for_one_session_is_an_outage() {
    let setup = start(Duration::from_secs(600)).await;
    setup.simulator.set_session(running(1, 10));
    let mut events = follow(&setup.client, working()).await.unwrap();
    let (_, token) = until_current(&mut events).await;
    leave(&setup, events).await;
    setup.simulator.set_silent(&id(1), true);
    setup.simulator.set_session(Session { state: "Stopping".to_owned(), ..running(1, 10) });
    let mut events = follow(&setup.client, from_token(working(), &token)).await.unwrap();
    // No later request is answered, which would show that this one is lost.
    outage(&mut events).await;
}
