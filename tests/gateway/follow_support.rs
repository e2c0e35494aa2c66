//! Followers that note what they are told.

use std::time::Duration;

use replica_session_gateway::{
    proto::v1::{
        ReplicaSessionChange, ReplicaSessionFilter, TimeRange, WatchSessionsRequest,
        WatchSessionsResponse, replica_session::State, replica_session_change::Kind,
        watch_sessions_response::Event,
    },
    serve::{self, RunningGateway},
    settings::Settings,
};
use simulator::Options;
use tokio::time::timeout;
use tonic::{Status, Streaming};

pub use super::followed_sessions::{ago, ended, id, running};
use super::support::{Client, SOON, Setup, connect, metric_becomes, settings, start_with};

/// The interval between two looks.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// The events of a watch of sessions.
pub type Events = Streaming<WatchSessionsResponse>;

/// Has the gateway look at this interval, and forget at once what nobody follows any longer.
pub fn look_every(settings: &mut Settings, interval: Duration) {
    settings.watch.interval = interval;
    settings.watch.longest_interval = interval;
    settings.watch.linger = Duration::ZERO;
}

/// A gateway that looks often, before an EM without running sessions.
pub async fn start() -> Setup {
    start_following(Options { running: 0, ..Options::default() }).await
}

/// The same with these options.
pub async fn start_following(options: Options) -> Setup {
    start_with(options, |settings| {
        look_every(settings, INTERVAL);
    })
    .await
}

/// A request to follow all sessions of the tests' job.
pub fn all() -> WatchSessionsRequest {
    let job_name = "Followed Job".to_owned();
    let filter = ReplicaSessionFilter { job_name, ..Default::default() };
    WatchSessionsRequest { filter: Some(filter), ..Default::default() }
}

/// A request to follow the sessions that work. One that works no longer is read by its id.
pub fn working() -> WatchSessionsRequest {
    let filter = ReplicaSessionFilter { states: vec![State::Working.into()], ..Default::default() };
    WatchSessionsRequest { filter: Some(filter), ..Default::default() }
}

/// All sessions of the tests' job from this token on.
pub fn from(resume_token: &str) -> WatchSessionsRequest {
    from_token(all(), resume_token)
}

/// This request from this token on.
pub fn from_token(request: WatchSessionsRequest, resume_token: &str) -> WatchSessionsRequest {
    WatchSessionsRequest { resume_token: resume_token.to_owned(), ..request }
}

pub async fn follow(client: &Client, request: WatchSessionsRequest) -> Result<Events, Status> {
    Ok(client.clone().watch_sessions(request).await?.into_inner())
}

/// The next event, with its token.
pub async fn event(events: &mut Events) -> (Event, String) {
    let event = timeout(SOON, events.message()).await.expect("an event in time");
    let event = event.unwrap().expect("an event");
    (event.event.unwrap(), event.resume_token)
}

/// The next change, with its token. Nothing else may come first.
pub async fn change(events: &mut Events) -> (ReplicaSessionChange, String) {
    match event(events).await {
        (Event::Change(change), token) => (change, token),
        (other, _) => panic!("{other:?}"),
    }
}

/// The number of the session and what has happened to it. Nothing else may come first.
pub async fn told(events: &mut Events) -> (u32, Vec<Kind>) {
    let (change, _) = change(events).await;
    summary(&change)
}

pub fn summary(change: &ReplicaSessionChange) -> (u32, Vec<Kind>) {
    assert!(change.read_time.is_some());
    let session = change.replica_session.as_ref().unwrap();
    let number = u32::from_str_radix(&session.id[24..], 16).unwrap();
    (number, change.kinds().collect())
}

/// The next event says that everything is known. Returns its token.
pub async fn current(events: &mut Events) -> String {
    match event(events).await {
        (Event::Current(current), token) => {
            assert!(current.read_time.is_some());
            token
        }
        (other, _) => panic!("{other:?}"),
    }
}

/// What is told up to the event that says that everything is known, and its token.
pub async fn until_current(events: &mut Events) -> (Vec<(u32, Vec<Kind>)>, String) {
    let mut told = Vec::new();
    loop {
        match event(events).await {
            (Event::Change(change), _) => told.push(summary(&change)),
            (Event::Current(_), token) => return (told, token),
            (other, _) => panic!("{other:?}"),
        }
    }
}

/// Waits for the end of an outage. Nothing has changed meanwhile.
pub async fn recovered(events: &mut Events) {
    loop {
        match event(events).await.0 {
            Event::Outage(_) => {}
            Event::Current(_) => return,
            other => panic!("{other:?}"),
        }
    }
}

/// Ends this following, or these, and waits until the gateway has noticed. There are no others.
pub async fn leave<T>(setup: &Setup, followings: T) {
    drop(followings);
    metric_becomes(setup, "gateway_followed_filters", 0).await;
}

/// A request that no other one is equal to.
pub fn numbered(number: u32) -> WatchSessionsRequest {
    let mut request = all();
    let start_time = Some(prost_types::Timestamp { seconds: number.into(), nanos: 0 });
    let create_time = Some(TimeRange { start_time, end_time: None });
    request.filter.as_mut().unwrap().create_time = create_time;
    request
}

/// Another gateway before the same EM, and a client of it.
pub async fn another_replica(setup: &Setup) -> (RunningGateway, Client) {
    another_that_looks_at(setup, INTERVAL).await
}

/// The same, which looks at this interval.
pub async fn another_that_looks_at(setup: &Setup, interval: Duration) -> (RunningGateway, Client) {
    let mut other = settings(&setup.simulator.url());
    look_every(&mut other, interval);
    let other = serve::start(other).await.unwrap();
    let client = connect(other.address()).await;
    (other, client)
}
