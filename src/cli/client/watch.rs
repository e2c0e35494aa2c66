//! `watch`: follows one session until its run is over, whatever becomes of connections meanwhile.

use std::{io::Write, time::Duration};

use clap::Args;
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use super::{
    Refusal, ServerOptions,
    screen::{Form, Screen},
    server::client,
};
use crate::{
    proto::v1::{
        ReplicaSession, WatchReplicaSessionRequest, WatchReplicaSessionResponse,
        replica_session::{Result as RunResult, State},
        watch_replica_session_response::Event,
    },
    settings::duration,
};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Pause before the first new watch where the gateway names none; doubles with each further one
/// that brings nothing. Up to as much again is added, so that watchers do not come back together.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How often the time on a terminal is written anew.
const TICK: Duration = Duration::from_secs(1);

/// The options of `watch`.
#[derive(Debug, Clone, Args)]
pub struct WatchOptions {
    /// The session: a UUID or urn:veeam:ReplicaJobSession:<UUID>
    pub id: String,

    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Print each event as proto3 JSON, one object a line
    #[arg(long)]
    pub json: bool,

    /// Give up when the run is not over by then; unless set, wait as long as it takes
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every virtual machine was replicated.
    Success,
    /// Replicated, with trouble.
    Warning,
    /// At least one virtual machine was not replicated.
    Failed,
    /// Stopped before anything ran, or with a result that this version does not know.
    Unclear,
}

impl Ended {
    /// The exit code for scripts.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Warning => 1,
            Self::Failed => 2,
            Self::Unclear => 3,
        }
    }

    fn of(session: &ReplicaSession) -> Option<Self> {
        (session.state() == State::Stopped).then(|| match session.result() {
            RunResult::Success => Self::Success,
            RunResult::Warning => Self::Warning,
            RunResult::Failed => Self::Failed,
            RunResult::None | RunResult::Unspecified => Self::Unclear,
        })
    }
}

/// Follows the session and shows what becomes of it: events on `out`, remarks for a person on
/// `err`. Once it has been told of the session it watches again after whatever passes: lost
/// connections, a gateway that stops or is overloaded.
///
/// # Errors
///
/// What the gateway answered instead, that it cannot be reached, or that the time is over.
pub async fn watch(
    options: &WatchOptions,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Ended, Refusal> {
    let mut screen = Screen::new(out, err, Form::for_output(options.json));
    let followed = follow(options, &mut screen);
    let ended = match options.timeout {
        Some(time) => timeout(time, followed)
            .await
            .unwrap_or_else(|_| Err(Refusal::of_timeout("the run is not over within --timeout"))),
        None => followed.await,
    };
    if screen.is_live() {
        screen.close();
    }
    ended
}

async fn follow(options: &WatchOptions, screen: &mut Screen<'_>) -> Result<Ended, Refusal> {
    let mut pause = FIRST_PAUSE;
    let mut has_been_told = false;
    loop {
        let mut told = false;
        let refusal = match attempt(options, screen, &mut told).await {
            Ok(ended) => return Ok(ended),
            Err(refusal) => refusal,
        };
        has_been_told |= told;
        if !has_been_told || !refusal.passes() {
            return Err(refusal);
        }
        if told {
            pause = FIRST_PAUSE;
        }
        screen.note(&format!("{}; watching again", refusal.message()));
        let asked = refusal.retry_delay().unwrap_or_default();
        sleep(asked.max(pause.mul_f64(1.0 + fastrand::f64()))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One watch, to its end.
async fn attempt(
    options: &WatchOptions,
    screen: &mut Screen<'_>,
    told: &mut bool,
) -> Result<Ended, Refusal> {
    let channel = options.server.connect(CONNECT).await?;
    let request = WatchReplicaSessionRequest {
        // People paste ids with what stood around them.
        id: options.id.trim().trim_matches(['{', '}']).to_owned(),
    };
    let mut events = client(channel).watch(request).await?.into_inner();
    let mut ended = None;
    while let Some(event) = next(&mut events, screen).await? {
        *told = true;
        screen.show(&event);
        if let Some(Event::Snapshot(snapshot)) = &event.event {
            ended = snapshot.replica_session.as_ref().and_then(Ended::of);
        }
    }
    ended.ok_or_else(|| Refusal::of_lost("the watch has ended before the run"))
}

async fn next(
    events: &mut Streaming<WatchReplicaSessionResponse>,
    screen: &mut Screen<'_>,
) -> Result<Option<WatchReplicaSessionResponse>, Refusal> {
    loop {
        tokio::select! {
            event = events.message() => return Ok(event?),
            () = sleep(TICK), if screen.is_live() => screen.redraw(),
        }
    }
}
