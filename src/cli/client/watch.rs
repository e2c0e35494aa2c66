//! `watch`: follows one session until its run is over, through lost connections and restarts.

use std::time::Duration;

use clap::Args;
use tokio::time::{sleep, timeout};
use tonic::{Code, Streaming};

use super::{
    Refusal, ServerOptions,
    parse::session_id,
    screen::{Form, Screen},
    silence::Silence,
};
use crate::{
    cli::{CommandError, ExitCode},
    proto::v1::{
        ReplicaSession, WatchReplicaSessionRequest, WatchReplicaSessionResponse,
        replica_session::{Result as RunResult, State},
        watch_replica_session_response::Event,
    },
    settings::duration,
};

/// Time for a connection to be established.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause before the first new watch if the gateway asks for none. It doubles after each watch
/// without an event. A random addition of up to the same length keeps clients from reconnecting all
/// at once.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Maximum of that pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How often the time on a terminal is redrawn.
const TICK: Duration = Duration::from_secs(1);

/// Follow one session until its run is over, and report how it went
///
/// Shows a bar on a terminal, and one line per change otherwise. Once a gateway has answered, it
/// continues through lost connections, gateway restarts and outages of Enterprise Manager; also if
/// the gateway falls silent, which it notices when two heartbeats are missing.
///
/// Exit codes: 0 the run ended with success, 1 with a warning, 2 it failed, 3 it was stopped
/// without a known result. Otherwise as for get; 75 also when the run does not end within
/// --timeout.
#[derive(Debug, Clone, Args)]
pub struct WatchOptions {
    /// The session: a UUID or urn:veeam:ReplicaJobSession:<UUID>
    #[arg(value_parser = session_id)]
    pub id: String,

    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Print each event except heartbeats as proto3 JSON, one object per line
    #[arg(long)]
    pub json: bool,

    /// Stop waiting if the run is not over after this time [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// Follows the session and prints its events to standard output, and remarks to standard error.
/// Once a gateway has answered, it watches again after every failure, unless the gateway gives a reason
/// that does not pass.
pub(crate) async fn run(options: &WatchOptions) -> Result<ExitCode, CommandError> {
    let mut screen = Screen::new(Form::for_output(options.json));
    let followed = follow(options, &mut screen);
    let ended = match options.timeout {
        Some(time) => timeout(time, followed).await.unwrap_or_else(|_| {
            Err(Refusal::local(Code::DeadlineExceeded, "the run did not end within --timeout"))
        }),
        None => followed.await,
    };
    if screen.is_live() {
        screen.close();
    }
    Ok(ended?)
}

/// How the run went; `None` while it is not over.
fn outcome(session: &ReplicaSession) -> Option<ExitCode> {
    (session.state() == State::Stopped).then(|| match session.result() {
        RunResult::Success => ExitCode::SUCCESS,
        RunResult::Warning => ExitCode::RUN_WARNING,
        RunResult::Failed => ExitCode::RUN_FAILED,
        RunResult::None | RunResult::Unspecified => ExitCode::RUN_UNCLEAR,
    })
}

async fn follow(options: &WatchOptions, screen: &mut Screen) -> Result<ExitCode, Refusal> {
    let mut pause = FIRST_PAUSE;
    // Until then, the address may be wrong.
    let mut has_reached_gateway = false;
    loop {
        let mut has_events = false;
        let refusal = match watch_once(options, screen, &mut has_events).await {
            Ok(ended) => return Ok(ended),
            Err(refusal) => refusal,
        };
        has_reached_gateway |= has_events || refusal.is_the_gateways();
        if !has_reached_gateway || !refusal.passes() {
            return Err(refusal);
        }
        if has_events {
            pause = FIRST_PAUSE;
        }
        screen.note(&format!("{}; watching again", refusal.message()));
        let asked = refusal.retry_delay().unwrap_or_default();
        sleep(asked.max(pause.mul_f64(1.0 + fastrand::f64()))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One watch, until it ends. `has_events` is set at its first event.
async fn watch_once(
    options: &WatchOptions,
    screen: &mut Screen,
    has_events: &mut bool,
) -> Result<ExitCode, Refusal> {
    let mut client = options.server.client(CONNECT_TIMEOUT).await?;
    let request = WatchReplicaSessionRequest { id: options.id.clone() };
    let mut silence = Silence::begin();
    let begun = tokio::select! {
        begun = client.watch(request) => begun?,
        refusal = silence.is_too_long() => return Err(refusal),
    };
    let mut events = begun.into_inner();
    let mut ended = None;
    while let Some(event) = next(&mut events, &silence, screen).await? {
        *has_events = true;
        silence.end(&event);
        screen.show(&event);
        if let Some(Event::Snapshot(snapshot)) = &event.event {
            ended = snapshot.replica_session.as_ref().and_then(outcome);
        }
    }
    ended.ok_or_else(|| Refusal::local(Code::Unavailable, "the watch ended before the run"))
}

/// The next event, unless the silence lasts for too long; meanwhile the live line is redrawn.
async fn next(
    events: &mut Streaming<WatchReplicaSessionResponse>,
    silence: &Silence,
    screen: &mut Screen,
) -> Result<Option<WatchReplicaSessionResponse>, Refusal> {
    loop {
        tokio::select! {
            event = events.message() => return Ok(event?),
            refusal = silence.is_too_long() => return Err(refusal),
            () = sleep(TICK), if screen.is_live() => screen.redraw(),
        }
    }
}
