//! Tells of every run that begins, changes or ends, until Ctrl-C: `follow-sessions [JOB_NAME]`

use std::{
    collections::{HashMap, hash_map::RandomState},
    env,
    error::Error,
    hash::{BuildHasher, Hasher},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use client::{
    connect, explain, is_lasting,
    pb::{
        ListReplicaSessionsRequest, ReplicaSession, ReplicaSessionFilter, TimeRange,
        WatchSessionsRequest, WatchSessionsResponse, replica_session::State,
        replica_session_change::Kind, replica_session_service_client::ReplicaSessionServiceClient,
        watch_sessions_response::Event,
    },
    reason, retry_delay, setting,
};
use tokio::time::{sleep, timeout};
use tonic::{Request, Status, transport::Channel};

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Follower {
    gateway: ReplicaSessionServiceClient<Channel>,
    request: WatchSessionsRequest,
    /// Until when everything has been told.
    current: SystemTime,
    /// Since when ends are missing, if the gateway has refused the token.
    missed_since: Option<SystemTime>,
    /// When each end was told, by the session's id.
    told: HashMap<String, SystemTime>,
    pause: Duration,
    /// For a call that is no watch.
    deadline: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let job_name = arguments.next().unwrap_or_default();
    if arguments.next().is_some() {
        eprintln!("usage: follow-sessions [JOB_NAME]");
        return Ok(ExitCode::from(2));
    }
    let seconds = setting("DEADLINE_SECONDS").map_or(Ok(20.0), |text| text.parse())?;
    let mut follower = Follower {
        gateway: ReplicaSessionServiceClient::new(connect()?),
        request: WatchSessionsRequest {
            filter: Some(ReplicaSessionFilter { job_name, ..Default::default() }),
            ..Default::default()
        },
        current: SystemTime::now(),
        missed_since: None,
        told: HashMap::new(),
        pause: Duration::from_secs(1),
        deadline: Duration::from_secs_f64(seconds),
    };
    eprint!("{}", explain(&follower.follow().await));
    Ok(ExitCode::FAILURE)
}

impl Follower {
    /// Goes on where it was cut off, for ever, by the last token. A program that is to outlast itself
    /// stores that. Returns the error that does not pass.
    async fn follow(&mut self) -> Status {
        loop {
            let ended = Status::unavailable("the gateway has ended the watch");
            let status = self.watch().await.err().unwrap_or(ended);
            let has_token = !self.request.resume_token.is_empty();
            if has_token && reason(&status) == "INVALID_RESUME_TOKEN" {
                println!(
                    "missed   the gateway does not take the token; beginning anew, then listing ends"
                );
                self.request.resume_token.clear();
                // Enterprise Manager may have learned of an end hours late.
                self.missed_since.get_or_insert(self.current - DAY);
                continue;
            }
            if is_lasting(&status) {
                return status;
            }
            eprintln!("again    {:?} {}", status.code(), status.message());
            // At random up to twice as long, so that all who wait do not come back in the same instant.
            let random = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
            sleep(retry_delay(&status).max(self.pause).mul_f64(1.0 + random)).await;
            self.pause = (2 * self.pause).min(Duration::from_secs(30));
        }
    }

    /// One watch.
    async fn watch(&mut self) -> Result<(), Status> {
        let mut patience = Duration::from_secs(65); // until the first event
        let silence = |patience| Status::unavailable(format!("nothing heard for {patience:?}"));
        // Without a deadline: this has no end.
        let watch = timeout(patience, self.gateway.watch_sessions(self.request.clone()));
        let mut events = watch.await.map_err(|_| silence(patience))??.into_inner();
        // Ends the watch when it has been silent for so long that two heartbeats are missing.
        while let Some(event) =
            timeout(patience, events.message()).await.map_err(|_| silence(patience))??
        {
            if let Some(interval) = event.heartbeat_interval {
                // In the first event. The margin is for the second heartbeat, which is due just then.
                patience =
                    2 * Duration::try_from(interval).unwrap_or_default() + Duration::from_secs(5);
            }
            self.tell(&event).await?;
            // Only once the event has been dealt with: until then, it would come again.
            if !event.resume_token.is_empty() {
                self.request.resume_token = event.resume_token;
            }
            self.pause = Duration::from_secs(1);
        }
        Ok(())
    }

    async fn tell(&mut self, event: &WatchSessionsResponse) -> Result<(), Status> {
        match &event.event {
            Some(Event::Change(change)) => {
                // A session that was over when it was first seen has appeared and ended.
                let kind = change.kinds().last().unwrap_or_default();
                let session = change.replica_session.clone().unwrap_or_default();
                if kind != Kind::Ended || self.is_news(&session) {
                    print(&kind.as_str_name().trim_start_matches("KIND_").to_lowercase(), &session);
                }
                self.forget();
            }
            Some(Event::Current(current)) => {
                let read_time = current.read_time.unwrap_or_default();
                println!("current  {read_time}");
                self.current = SystemTime::try_from(read_time).unwrap_or(self.current);
                if let Some(since) = self.missed_since {
                    // Not earlier: only what ends from here on is told by a watch that has begun anew.
                    self.list_ended(since, None).await?;
                    self.missed_since = None;
                }
            }
            Some(Event::Outage(outage)) => println!("outage   {}", outage.reason),
            Some(Event::Missed(missed)) => {
                let TimeRange { start_time, end_time } = missed.end_time.unwrap_or_default();
                let time = |time: prost_types::Timestamp| SystemTime::try_from(time).ok();
                let before = end_time.and_then(time).unwrap_or_else(SystemTime::now);
                let since = start_time.and_then(time).unwrap_or(before - DAY);
                println!(
                    "missed   the gateway does not know which ends have been told; listing them"
                );
                self.list_ended(since, Some(before)).await?;
            }
            // A heartbeat, or an event that this program does not know yet.
            Some(Event::Heartbeat(_)) | None => {}
        }
        Ok(())
    }

    /// Tells the sessions that ended in this time, except those that have been told.
    async fn list_ended(
        &mut self,
        since: SystemTime,
        before: Option<SystemTime>,
    ) -> Result<(), Status> {
        let end_time =
            TimeRange { start_time: Some(since.into()), end_time: before.map(Into::into) };
        let filter = self.request.filter.clone().unwrap_or_default();
        let mut wanted = ListReplicaSessionsRequest {
            page_size: 1000,
            filter: Some(ReplicaSessionFilter { end_time: Some(end_time), ..filter }),
            ..Default::default()
        };
        loop {
            let mut request = Request::new(wanted.clone());
            request.set_timeout(self.deadline);
            let page = self.gateway.list(request).await?.into_inner();
            for session in &page.replica_sessions {
                if self.is_news(session) {
                    print("listed", session);
                }
            }
            wanted.page_token = page.next_page_token;
            if wanted.page_token.is_empty() {
                return Ok(());
            }
        }
    }

    /// Whether this end has not been told; from now on it has.
    fn is_news(&mut self, session: &ReplicaSession) -> bool {
        self.told.insert(session.id.clone(), SystemTime::now()).is_none()
    }

    /// Forgets the ends that were told longer ago than any list here goes back.
    fn forget(&mut self) {
        let oldest = SystemTime::now() - 2 * DAY;
        self.told.retain(|_, at| *at > oldest);
    }
}

fn print(what: &str, session: &ReplicaSession) {
    let how = if session.state() == State::Stopped {
        session.result().as_str_name().to_owned()
    } else {
        format!("{} {} %", session.state().as_str_name(), session.progress_percent())
    };
    println!("{what:8} {} {how} {}", session.id, session.name);
}
