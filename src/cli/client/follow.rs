//! `follow`: tells of all sessions that match a filter, through lost connections and restarts.

mod board;
mod lines;
mod screen;
mod told;

use std::{io, time::Duration};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;
use tonic::Code;

use self::screen::FollowScreen;
use super::{
    Refusal, ServerOptions,
    again::{Again, CONNECT_TIMEOUT, Heard, next, wait},
    filter::SessionFilterOptions,
    outage::Outage,
    parse::change,
    silence::Silence,
    text::moment,
};
use crate::{
    cli::{CommandError, ExitCode, terminal::reader_has_gone},
    proto::{
        time::to_protobuf,
        v1::{
            MissedReplicaSessions, TimeRange, WatchSessionsRequest, WatchSessionsResponse,
            replica_session_change::Kind, watch_sessions_response::Event,
        },
    },
    settings::duration,
};

/// How long ago a session may have ended for the gateway to tell of it, since Enterprise Manager has learned of it late:
/// as far as it looks back.
const LATEST: SignedDuration = SignedDuration::from_hours(24);

/// Tell of every run that matches, as it begins, changes and ends
///
/// Shows a table on a terminal, of the sessions that run and those that ended last, and one line per change otherwise:
/// time, what has happened, state, result, progress, type of the job, id of the session, name of the job. It begins with
/// the sessions that run, and ends with --timeout or Ctrl-C.
///
/// Once a gateway has answered, it continues through lost connections, gateway restarts and outages of
/// Enterprise Manager where it was cut off: nothing is told twice, and if something may be missing, it says so.
/// Standard error says when the gateway is away, at most every 30 s that it still is, and when it is back.
///
/// Exit codes: 0 at the end of --timeout, or when nobody reads the output any longer; 73 the output cannot be
/// written; 64 too many sessions match, or 75 if fewer did when it began. Otherwise as for get.
#[derive(Debug, Clone, Args)]
pub struct FollowOptions {
    /// The gateway.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Which sessions.
    #[command(flatten)]
    pub filter: SessionFilterOptions,

    /// Only these kinds of changes: appeared, changed, ended, left (no longer matches), removed (no longer
    /// known to Enterprise Manager); on a terminal too, each is a line then
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = change)]
    pub changes: Vec<Kind>,

    /// Print each event except heartbeats as proto3 JSON, one object per line, and noLongerRuns for each run that is
    /// gone after the gateway has refused the token
    #[arg(long)]
    pub json: bool,

    /// Stop after this time [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// Why following ends.
enum End {
    Refused(Refusal),
    Unwritable(io::Error),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Unwritable(error)
    }
}

/// Follows the sessions, and prints what happens to standard output, and remarks to standard error.
pub(crate) async fn run(options: &FollowOptions) -> Result<ExitCode, CommandError> {
    let mut following = Following::new(options);
    let followed = async {
        tokio::select! {
            end = following.until_end(options) => end,
            () = reader_has_gone() => End::Unwritable(io::ErrorKind::BrokenPipe.into()),
        }
    };
    let end = match options.timeout {
        Some(time) => timeout(time, followed).await.ok(),
        None => Some(followed.await),
    };
    match end {
        None if following.heard_at.is_none() => {
            let why = "nothing has become known of the sessions within --timeout";
            Err(Refusal::local(Code::DeadlineExceeded, why).into())
        }
        None => Ok(ExitCode::SUCCESS),
        Some(End::Unwritable(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Some(End::Unwritable(error)) => Err(CommandError::new(
            ExitCode::CANNOT_CREATE,
            format!("standard output cannot be written to: {error}"),
        )),
        // The filter was narrow enough before, and will be once fewer sessions run.
        Some(End::Refused(refusal))
            if following.heard_at.is_some() && refusal.is_too_many_sessions() =>
        {
            Err(CommandError::new(ExitCode::TEMPORARY_FAILURE, refusal.to_string()))
        }
        Some(End::Refused(refusal)) => Err(refusal.into()),
    }
}

/// One following, over as many watches as it takes.
struct Following {
    screen: FollowScreen,
    outage: Outage,
    request: WatchSessionsRequest,
    /// Until when everything is known that the gateway had to tell; `None` before it has told anything.
    heard_at: Option<Timestamp>,
    /// Since when the ends of runs may be missing, once it has begun anew, until that has been told.
    missing_since: Option<Timestamp>,
}

impl Following {
    fn new(options: &FollowOptions) -> Self {
        let request = WatchSessionsRequest {
            filter: Some(options.filter.filter()),
            kinds: options.changes.iter().map(|kind| (*kind).into()).collect(),
            resume_token: String::new(),
        };
        let screen = FollowScreen::for_output(options.json, options.changes.clone());
        let outage = Outage::default();
        Self { screen, outage, request, heard_at: None, missing_since: None }
    }

    /// Watches again after every failure once a gateway has answered, unless the gateway gives a reason that
    /// does not pass; once sessions are known, also if that is Enterprise Manager's failure.
    async fn until_end(&mut self, options: &FollowOptions) -> End {
        let mut again = Again::new();
        loop {
            if self.request.resume_token.is_empty() {
                self.begin_anew();
            }
            let mut heard = Heard::default();
            let refusal = match self.watch_once(options, &mut heard).await {
                Err(End::Refused(refusal)) => refusal,
                Err(end) => return end,
                Ok(()) => Refusal::local(Code::Unavailable, "the gateway has ended the watch"),
            };
            if !self.request.resume_token.is_empty()
                && refusal.reason().as_deref() == Some("INVALID_RESUME_TOKEN")
            {
                // The gateway's key has changed, or its version.
                self.screen.note("the gateway does not accept its token of the last event any longer; beginning anew");
                self.request.resume_token.clear();
                continue;
            }
            let Some(pause) = again.after(&refusal, heard) else { return refusal.into() };
            if let Some(told) = self.outage.failed(&refusal) {
                self.screen.note(&told);
            }
            let screen = &mut self.screen;
            wait(pause, screen.is_live(), || screen.redraw()).await;
        }
    }

    /// Begins without a token. If something has been told already, what has happened since cannot be known.
    fn begin_anew(&mut self) {
        let Some(heard_at) = self.heard_at else { return };
        let since = heard_at.checked_sub(LATEST).unwrap_or(Timestamp::MIN);
        self.missing_since.get_or_insert(since);
        self.screen.begin_anew();
    }

    /// Tells what may be missing, once something is known of the sessions again: what ends from then on is told.
    fn show_missing(&mut self, known_at: Timestamp) -> io::Result<()> {
        let Some(since) = self.missing_since.take() else { return Ok(()) };
        let until = known_at.max(Timestamp::now());
        let end_time =
            TimeRange { start_time: Some(to_protobuf(since)), end_time: Some(to_protobuf(until)) };
        let missed = MissedReplicaSessions { end_time: Some(end_time) };
        self.screen.show(&WatchSessionsResponse {
            event: Some(Event::Missed(missed)),
            ..WatchSessionsResponse::default()
        })
    }

    /// One watch, until it ends. Notes what it has been sent.
    async fn watch_once(&mut self, options: &FollowOptions, heard: &mut Heard) -> Result<(), End> {
        let mut client = options.server.client(CONNECT_TIMEOUT).await?;
        let mut silence = Silence::begin();
        let begun = tokio::select! {
            begun = client.watch_sessions(self.request.clone()) => begun.map_err(Refusal::from)?,
            refusal = silence.is_too_long() => return Err(refusal.into()),
        };
        let mut events = begun.into_inner();
        while let Some(event) = {
            let screen = &mut self.screen;
            next(&mut events, &silence, screen.is_live(), || screen.redraw()).await?
        } {
            heard.anything = true;
            silence.end(event.heartbeat_interval);
            if let Some(told) = self.outage.over() {
                self.screen.note(&told);
            }
            // With too many sessions for a token, the last one stands: what it makes the gateway repeat is
            // not told twice, since the screen remembers it.
            if !event.resume_token.is_empty() {
                self.request.resume_token.clone_from(&event.resume_token);
            }
            let read_time = match &event.event {
                Some(Event::Change(change)) => change.read_time,
                Some(Event::Current(current)) => current.read_time,
                Some(Event::Heartbeat(heartbeat)) => heartbeat.read_time,
                Some(Event::Outage(_) | Event::Missed(_)) | None => None,
            };
            if let Some(read_at) = read_time.and_then(moment) {
                heard.states = true;
                self.heard_at = Some(read_at);
                self.show_missing(read_at)?;
            }
            self.screen.show(&event)?;
        }
        Ok(())
    }
}
