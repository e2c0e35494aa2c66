//! Tells of every run that begins, changes or ends, until Ctrl-C: `follow-sessions [JOB_NAME]`

use std::{
    collections::hash_map::RandomState,
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
        replica_session_service_client::ReplicaSessionServiceClient,
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
    /// The gateway does not take the token.
    is_refused: bool,
    pause: Duration,
    /// For a call that is no watch.
    deadline: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let job_name = env::args().nth(1).unwrap_or_default();
    let seconds = setting("DEADLINE_SECONDS").map_or(Ok(20.0), |text| text.parse())?;
    let mut follower = Follower {
        gateway: ReplicaSessionServiceClient::new(connect()?),
        request: WatchSessionsRequest {
            filter: Some(ReplicaSessionFilter { job_name, ..Default::default() }),
            ..Default::default()
        },
        current: SystemTime::now(),
        is_refused: false,
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
                    "missed   the gateway does not take the token; beginning anew, after what has ended:"
                );
                self.request.resume_token.clear();
                self.is_refused = true;
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
        if self.is_refused {
            // Enterprise Manager may have learned of an end hours late.
            self.list_ended(self.current - DAY, SystemTime::now()).await?;
            self.is_refused = false;
        }
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
                let kind = change.kinds().last().unwrap_or_default().as_str_name();
                let kind = kind.trim_start_matches("KIND_").to_lowercase();
                print(&kind, change.replica_session.as_ref().unwrap_or(&ReplicaSession::default()));
            }
            Some(Event::Current(current)) => {
                let read_time = current.read_time.unwrap_or_default();
                println!("current  {read_time}");
                self.current = SystemTime::try_from(read_time).unwrap_or(self.current);
            }
            Some(Event::Outage(outage)) => println!("outage   {}", outage.reason),
            Some(Event::Missed(missed)) => {
                let TimeRange { start_time, end_time } = missed.end_time.unwrap_or_default();
                let time = |time: prost_types::Timestamp| SystemTime::try_from(time).ok();
                let before = end_time.and_then(time).unwrap_or_else(SystemTime::now);
                let since = start_time.and_then(time).unwrap_or(before - DAY);
                println!("missed   the gateway does not know which of these have been told:");
                self.list_ended(since, before).await?;
            }
            // A heartbeat, or an event that this program does not know yet.
            Some(Event::Heartbeat(_)) | None => {}
        }
        Ok(())
    }

    /// Prints the sessions that ended in this time, some of which may have been told.
    async fn list_ended(&mut self, since: SystemTime, before: SystemTime) -> Result<(), Status> {
        let end_time = TimeRange { start_time: Some(since.into()), end_time: Some(before.into()) };
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
                print("listed", session);
            }
            wanted.page_token = page.next_page_token;
            if wanted.page_token.is_empty() {
                return Ok(());
            }
        }
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
