//! `watch`: follows one session until its run is over, through lost connections and restarts.

use std::time::Duration;

use clap::Args;
use tokio::time::timeout;
use tonic::Code;

use super::{
    Refusal, ServerOptions,
    again::{Again, CONNECT_TIMEOUT, Heard, next, wait},
    outage::Outage,
    parse::session_id,
    screen::{Form, Screen},
    silence::Silence,
};
use crate::{
    cli::{CommandError, ExitCode, terminal::reader_has_gone},
    proto::v1::{
        ReplicaSession, WatchReplicaSessionRequest,
        replica_session::{Result as RunResult, State},
        watch_replica_session_response::Event,
    },
    settings::duration,
};

/// Follow one session until its run is over, and report how it went
///
/// Shows a bar on a terminal, and one line per change otherwise. Once a gateway has answered, it
/// continues through lost connections, gateway restarts and outages of Enterprise Manager; also if
/// the gateway falls silent, which it notices when two heartbeats are missing. Standard error says when the
/// gateway is away, at most every 30 s that it still is, and when it is back.
///
/// Exit codes: 0 the run ended with success, 1 with a warning, 2 it failed, 3 it was stopped
/// without a known result, 73 nobody reads the output any longer before the run is over. Otherwise as for
/// get; 75 also when the run does not end within --timeout.
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
/// that does not pass; once the session has been shown, also if that is Enterprise Manager's failure.
pub(crate) async fn run(options: &WatchOptions) -> Result<ExitCode, CommandError> {
    let mut screen = Screen::new(Form::for_output(options.json));
    let followed = follow(options, &mut screen);
    let followed = async {
        match options.timeout {
            Some(time) => timeout(time, followed).await.unwrap_or_else(|_| {
                Err(Refusal::local(Code::DeadlineExceeded, "the run did not end within --timeout"))
            }),
            None => followed.await,
        }
    };
    let ended = tokio::select! {
        biased;
        ended = followed => ended,
        () = reader_has_gone() => {
            let why = "nobody reads standard output any longer, and the run is not over";
            return Err(CommandError::new(ExitCode::CANNOT_CREATE, why));
        }
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
    let (mut again, mut outage) = (Again::new(), Outage::default());
    loop {
        let mut heard = Heard::default();
        let refusal = match watch_once(options, screen, &mut outage, &mut heard).await {
            Ok(ended) => return Ok(ended),
            Err(refusal) => refusal,
        };
        let Some(pause) = again.after(&refusal, heard) else { return Err(refusal) };
        if let Some(told) = outage.failed(&refusal) {
            screen.note(&told);
        }
        wait(pause, screen.is_live(), || screen.redraw()).await;
    }
}

/// One watch, until it ends. Notes what it has been sent.
async fn watch_once(
    options: &WatchOptions,
    screen: &mut Screen,
    outage: &mut Outage,
    heard: &mut Heard,
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
    while let Some(event) =
        next(&mut events, &silence, screen.is_live(), || screen.redraw()).await?
    {
        heard.anything = true;
        silence.end(event.heartbeat_interval);
        if let Some(told) = outage.over() {
            screen.note(&told);
        }
        screen.show(&event);
        if let Some(Event::Snapshot(snapshot)) = &event.event {
            heard.states = true;
            ended = snapshot.replica_session.as_ref().and_then(outcome);
        }
    }
    ended.ok_or_else(|| Refusal::local(Code::Unavailable, "the watch ended before the run"))
}
