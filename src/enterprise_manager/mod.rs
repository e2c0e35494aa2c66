//! The side of Enterprise Manager: asking it over HTTP, reading its XML strictly.
//!
//! Nothing here knows gRPC: what comes out is EM's own model, or EM's own kind of error.

mod error;
mod guard;
mod http;
mod logon;
mod model;
mod query;
mod session_id;
mod xml;

use std::{future::pending, pin::pin, sync::Arc};

use jiff::Timestamp;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::sleep;

pub use error::{BadResponse, Error, Setting, UnusableSetting};
pub use guard::retry::Patience;
pub use guard::standing::{LATELY, LastFailure, Standing, Verdict};
pub use http::look::Answer;
pub use http::presented::{PresentedCertificate, presented_certificate};
pub use http::reach::{Handshake, HandshakeError, connect, resolve, shake_hands};
pub use logon::LogonState;
pub use model::{
    Link, Reading, ReplicaSession, Run, RunResult, SessionState, TaskReading, TaskSession,
    TaskState, View,
};
pub use query::filter::{InvalidName, MAX_NAME, Name, SessionFilter, Span};
pub use query::list::{MAX_GIVEN, MAX_PAGE_SIZE, Order, Position, SessionList, SessionPage};
pub use session_id::{InvalidSessionId, SessionId, parse_id, parse_uuid};
pub(crate) use xml::read_session_id;
pub use xml::{
    MAX_TASKS, QueryPage, read_replica_session, read_session_page, read_task_list, read_task_page,
    read_time,
};

use crate::{
    operations::{
        metrics::UpstreamMetrics,
        traces::{TraceContext, Traces},
    },
    runtime::{
        certificates::Expiry,
        reload::{Files, Watched},
    },
    settings::{EnterpriseManagerSettings, PasswordSource},
};
use guard::places::Places;
use guard::purpose::Purpose;
use guard::retry::Retries;
use http::answer::{readable_body, unreadable};
use http::exchange::{Credential, Http};
use http::reply::Reply;
use http::{
    echo,
    tls::{self, client_config},
};
use logon::{LogonSession, Logons};
use query::ReadRequest;

/// One Enterprise Manager, and the gateway's one logon session there.
#[derive(Clone)]
pub struct EnterpriseManager {
    http: Http,
    logons: Logons,
    places: Arc<Places>,
    retries: Arc<Retries>,
    standing: Arc<Standing>,
    metrics: Arc<UpstreamMetrics>,
}

impl EnterpriseManager {
    /// Prepares everything and connects to nothing: the first read logs on. With it come the files
    /// to watch, so that it goes by what they say. It notes in `seen` when EM's certificate expires.
    ///
    /// # Errors
    ///
    /// Which setting cannot be used, and why.
    pub fn load(
        settings: EnterpriseManagerSettings,
        seen: Expiry,
        metrics: Arc<UpstreamMetrics>,
        traces: Traces,
    ) -> Result<(Self, Vec<Watched<UnusableSetting>>), UnusableSetting> {
        let trust = settings.trust.clone();
        let (tls, trust_files) = tls::load(&trust, &seen)?;
        let unusable = |why| Setting::Url.unusable(format!("cannot be connected to: {why}"));
        let http = Http::new(&settings.url, tls, metrics.clone(), traces).map_err(unusable)?;
        let mut watched = Vec::new();
        if let Some(files) = trust_files {
            let http = http.clone();
            watched.push(files.on_change(move |contents| {
                http.trust(client_config(&trust, contents, &seen)?)
                    .map_err(unusable)
            }));
        }
        if let PasswordSource::File(path) = &settings.password {
            let path = path.clone();
            let paths = vec![(Setting::PasswordFile, path.clone())];
            let (files, _) = Files::read("em_password", paths)?;
            // Each logon reads the file itself; this only reports whether it can be read.
            watched.push(files.on_change(move |contents| {
                let content = contents.first().expect("as many contents as paths");
                PasswordSource::parse(content.expose_secret())
                    .map(drop)
                    .map_err(|why| {
                        Setting::PasswordFile.unusable(format!("{} {why}", path.display()))
                    })
            }));
        }
        let password = read_password(&settings)?;
        let places = Arc::new(Places::new(settings.concurrency));
        let logons = Logons::new(http.clone(), settings, password, metrics.clone());
        let enterprise_manager = Self {
            http,
            logons,
            places,
            retries: Arc::default(),
            standing: Arc::new(Standing::new()),
            metrics,
        };
        Ok((enterprise_manager, watched))
    }

    /// The same Enterprise Manager, logon session and limits, with connections of its own: for
    /// another runtime.
    ///
    /// # Errors
    ///
    /// Why there can be no connections.
    pub fn with_own_connections(&self) -> Result<Self, String> {
        Ok(Self {
            http: self.http.with_own_connections()?,
            ..self.clone()
        })
    }

    /// What Enterprise Manager has shown of itself lately.
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Reads one session. Past `patience` all callers are gone and no retry is begun. Dropping the
    /// future aborts the request.
    ///
    /// # Errors
    ///
    /// Why EM gave no session.
    pub async fn replica_session(
        &self,
        id: SessionId,
        view: View,
        patience: &Patience,
    ) -> Result<Arc<Reading>, Error> {
        let reading = self.read(&SessionRequest { id, view }, patience).await?;
        self.count_unknown(&reading.session.unmapped);
        Ok(reading)
    }

    /// Counts what the contract has no place for.
    fn count_unknown<'e>(&self, unmapped: impl IntoIterator<Item = (&'e String, &'e String)>) {
        for (element, _) in unmapped {
            self.metrics.unknown_value(element);
        }
    }

    /// Sends a request, again where that helps, and reads its answer.
    async fn read<R: ReadRequest>(
        &self,
        request: &R,
        patience: &Patience,
    ) -> Result<R::Answer, Error> {
        let noted = self.standing.note_end_of_read(patience);
        let outcome = self.read_until_good(request, patience).await;
        noted.ended(&outcome);
        if outcome.is_ok() {
            let now = Timestamp::now().as_duration().as_secs_f64();
            self.metrics.succeeded(now);
        }
        outcome
    }

    async fn read_until_good<R: ReadRequest>(
        &self,
        request: &R,
        patience: &Patience,
    ) -> Result<R::Answer, Error> {
        let mut attempts = self.retries.attempts(patience);
        let path = request.path();
        let mut asking = Asking {
            request,
            path: &path,
            origin: patience.origin(),
            sent: 0,
        };
        loop {
            // Held while a logon is under way as well, so that EM never has more requests than
            // places, and those who wait for one do so with the newest logon session.
            let place = self.places.take(R::PURPOSE).await;
            if patience.is_nearly_over() {
                // Not worth a request; the callers' own timers are about to end this.
                drop(place);
                return pending().await;
            }
            let outcome = pin!(self.read_once(&mut asking));
            let outcome = tokio::select! {
                outcome = outcome => outcome?,
                () = place.is_over() => continue,
            };
            drop(place);
            let error = match outcome {
                Ok(answer) => {
                    attempts.succeeded();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let Some(pause) = attempts.pause_after(&error) else {
                return Err(error);
            };
            self.metrics.retried();
            tracing::debug!(path, ?pause, "trying again: {error}");
            sleep(pause).await;
        }
    }

    /// One read under the shared logon session, and a second one when EM has forgotten it. The
    /// outer error is the logon's, which is never tried again: only reads are.
    async fn read_once<R: ReadRequest>(
        &self,
        asking: &mut Asking<'_, R>,
    ) -> Result<Result<R::Answer, Error>, Error> {
        let mut logon = self.logons.current(asking.origin).await?;
        let mut answer = self.get(asking, &logon).await;
        if matches!(answer, Err(Error::CredentialsRejected { .. })) {
            logon = self.logons.after(&logon, asking.origin).await?;
            answer = self.get(asking, &logon).await;
        }
        match &answer {
            Err(Error::CredentialsRejected { .. }) => self.logons.refused(&logon),
            Ok(_) => self.logons.accepted(&logon),
            Err(_) => {}
        }
        Ok(answer)
    }

    async fn get<R: ReadRequest>(
        &self,
        asking: &mut Asking<'_, R>,
        logon: &LogonSession,
    ) -> Result<R::Answer, Error> {
        let credential = Credential::Token(&logon.token);
        let cause = (asking.origin, asking.sent);
        asking.sent += 1;
        let reply = self
            .http
            .exchange(Method::GET, asking.path, credential, R::PURPOSE, cause)
            .await?;
        let error = match read_answer(asking.request, &reply).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        // An answer that shows the token is judged without what it says.
        match echo::without_token(&reply, &error, &logon.token) {
            Some(bare) => read_answer(asking.request, &bare).await,
            None => Err(error),
        }
    }

    /// Ends the logon session at EM, if there is one. Best effort, 2 s at most. Returns the status of
    /// EM's answer, if there is one.
    pub async fn log_off(&self) -> Option<u16> {
        self.logons.log_off().await.map(|status| status.as_u16())
    }
}

/// The password as it is now.
fn read_password(settings: &EnterpriseManagerSettings) -> Result<SecretString, UnusableSetting> {
    settings
        .password
        .read()
        .map_err(|why| Setting::PasswordFile.unusable(why))
}

/// A read that is under way.
struct Asking<'a, R> {
    request: &'a R,
    path: &'a str,
    origin: &'a TraceContext,
    /// How often the request has been sent.
    sent: u32,
}

async fn read_answer<R: ReadRequest>(request: &R, reply: &Reply) -> Result<R::Answer, Error> {
    let body = readable_body(reply)?;
    let outcome = request.read(body).await;
    outcome.map_err(|error| unreadable(reply, error))
}

/// One session, by its id.
struct SessionRequest {
    id: SessionId,
    view: View,
}

impl ReadRequest for SessionRequest {
    type Answer = Arc<Reading>;

    const PURPOSE: Purpose = Purpose::One;

    fn path(&self) -> String {
        let query = match self.view {
            View::Reference => "",
            View::Entity => "?format=Entity",
        };
        format!("api/replicaSessions/{}{query}", self.id)
    }

    async fn read(&self, body: &[u8]) -> Result<Arc<Reading>, BadResponse> {
        let session = read_replica_session(body, self.id, self.view)?;
        let read_at = Timestamp::now();
        // At once where it stays: it is a third of a kilobyte.
        Ok(Arc::new(Reading { session, read_at }))
    }
}
