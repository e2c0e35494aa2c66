//! The steps of a check, one after the other; what follows a failed one is not done.

use std::{fs::File, io::Write, time::Duration};

use tokio::time::{Instant, timeout};

use super::{
    outcome::{Good, Outcome, good, odd},
    report::{Counts, Open, report},
    shown::Shown,
    trouble::{Trouble, access_denied, of_error},
    way::{connected, encrypted, recognised, resolved},
};
use crate::{
    cli::ExitCode,
    enterprise_manager::{
        EnterpriseManager, Error, Order, Patience, Position, ReplicaSession, SessionFilter,
        SessionId, SessionList, View,
    },
    settings::{EnterpriseManagerSettings, Settings, Trust},
};

/// The steps in their order.
pub(super) const NAMES: [&str; 9] = [
    "resolve",
    "connect",
    "tls",
    "recognise",
    "logon",
    "role",
    "list",
    "read",
    "logoff",
];

/// One look at one Enterprise Manager.
pub(super) struct Look<'l, 'o, W> {
    pub(super) shown: &'l mut Shown<'o, W>,
    pub(super) enterprise_manager: &'l EnterpriseManager,
    pub(super) settings: &'l EnterpriseManagerSettings,
    /// Longest time for each step.
    pub(super) longest: Duration,
}

/// What the settings say, in one line.
pub(super) fn told(settings: &Settings) -> String {
    let em = &settings.enterprise_manager;
    let trust = match &em.trust {
        Trust::Platform => "the platform's certificate authorities".to_owned(),
        Trust::Authorities(path) => format!("the authorities in {}", path.display()),
        Trust::Pins { given, file } => match file {
            Some(path) => format!("the pins in {} and {} more", path.display(), given.len()),
            None => format!("{} pinned", given.len()),
        },
    };
    let trust = match em.url.scheme() {
        "https" => format!("trusting {trust}"),
        _ => "without TLS".to_owned(),
    };
    format!(
        "{} as {}, password from {}, {trust}",
        em.url, em.username, em.password
    )
}

impl<'l, W: Write> Look<'l, '_, W> {
    /// Takes all the steps. Whatever has been logged on is logged off, unless the future is dropped.
    pub(super) async fn all(&mut self, report: Option<File>, open: &Open) {
        if self.until_logged_on().await.is_some() {
            self.read().await;
            if let Some(file) = report {
                self.report(file, open).await;
            }
            let logoff = self.log_off();
            self.step("logoff", logoff).await;
        } else {
            if report.is_some() {
                self.shown
                    .not_done("report", "not done; its file is as it was");
            }
            // A logon that was given up may still have come about.
            self.enterprise_manager.log_off().await;
        }
    }

    /// Each request has its time; it may take many of them.
    async fn report(&mut self, file: File, open: &Open) {
        let (enterprise_manager, settings) = (self.enterprise_manager, self.settings);
        let written = report(enterprise_manager, settings, self.longest, open, file);
        match written.await {
            Ok(Counts {
                hold,
                fail,
                not_seen,
            }) => self.shown.good(
                "report",
                &format!(
                    "{hold} assumptions hold, {fail} do not, {not_seen} could not be seen; please read the \
                     file and send it to the maintainers"
                ),
            ),
            Err(error) => {
                let told = format!("the file cannot be written: {error}");
                self.shown.bad("report", &told, "make room, or name another file", ExitCode::CANNOT_CREATE);
            }
        }
    }

    /// Takes a step within its time, and shows it.
    async fn step<T>(
        &mut self,
        name: &'static str,
        step: impl Future<Output = Outcome<T>>,
    ) -> Option<T> {
        let outcome = timeout(self.longest, step).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Trouble::too_long(self.longest)));
        match outcome {
            Ok(Good {
                value,
                told,
                remedy,
            }) => {
                match remedy {
                    Some(remedy) => self.shown.odd(name, &told, &remedy),
                    None => self.shown.good(name, &told),
                }
                Some(value)
            }
            Err(trouble) => {
                self.bad(name, &trouble);
                None
            }
        }
    }

    fn bad(&mut self, name: &'static str, trouble: &Trouble) {
        let Trouble { told, remedy, .. } = trouble;
        self.shown.bad(name, told, remedy, trouble.exit_code);
    }

    async fn until_logged_on(&mut self) -> Option<()> {
        let settings = self.settings;
        let url = &settings.url;
        let addresses = self.step("resolve", resolved(url)).await?;
        let stream = self.step("connect", connected(url, addresses)).await?;
        if url.scheme() == "https" {
            self.step("tls", encrypted(settings, stream)).await?;
        } else {
            // Or a server that takes one connection at a time would never answer.
            drop(stream);
            let why = "--em-url is http://, over which the password travels readable";
            self.shown.not_done("tls", why);
        }
        let recognised = recognised(self.enterprise_manager, settings);
        self.step("recognise", recognised).await?;
        let logged_on = logged_on(self.enterprise_manager, settings, self.longest);
        self.step("logon", logged_on).await
    }

    /// What the account may do, the newest session in a list, and that session by itself.
    async fn read(&mut self) {
        let (enterprise_manager, settings) = (self.enterprise_manager, self.settings);
        let listed = newest(enterprise_manager, self.longest);
        let listed = timeout(self.longest, listed).await;
        let newest = match listed {
            Ok(Ok(newest)) => newest,
            Ok(Err(Error::AccessDenied { .. })) => {
                self.bad("role", &access_denied());
                return;
            }
            failed => {
                let trouble = match &failed {
                    Ok(Err(error)) => of_error(error, settings),
                    _ => Trouble::too_long(self.longest),
                };
                self.shown.not_done("role", "cannot be seen without a list");
                let told = format!("no list of sessions: {}", trouble.told);
                self.bad("list", &Trouble { told, ..trouble });
                let any = timeout(self.longest, any_session(enterprise_manager)).await;
                match any.ok().flatten() {
                    Some(id) => {
                        let read = read_one(enterprise_manager, settings, id, self.longest);
                        self.step("read", read).await;
                    }
                    None => self.shown.not_done("read", "no session is known"),
                }
                return;
            }
        };
        let role = role(enterprise_manager, newest.as_ref());
        self.step("role", role).await;
        let Some(session) = newest else {
            self.shown
                .good("list", "works; there is no replica session yet");
            self.shown.good("read", "there is no replica session yet");
            return;
        };
        let created = session.run.as_ref().and_then(|run| run.created_at);
        let created = created.map_or_else(String::new, |at| format!(", created {at:.0}"));
        let told = format!("the newest session is {}{created}", session.id);
        self.shown.good("list", &told);
        let read = read_one(enterprise_manager, settings, session.id, self.longest);
        self.step("read", read).await;
    }

    fn log_off(&self) -> impl Future<Output = Outcome<()>> + use<'l, W> {
        const NO_HARM: &str =
            "no harm: Enterprise Manager forgets the session after 15 idle minutes";
        let enterprise_manager = self.enterprise_manager;
        async move {
            if enterprise_manager.cannot_log_off() {
                return odd(
                    "not possible: the logon has named no session".to_owned(),
                    NO_HARM,
                );
            }
            match enterprise_manager.log_off().await {
                Some(200..300) => good((), "logged off"),
                Some(status) => odd(
                    format!("the logoff is answered with status {status}"),
                    NO_HARM,
                ),
                None => odd("the logoff is not answered".to_owned(), NO_HARM),
            }
        }
    }
}

async fn logged_on(
    enterprise_manager: &EnterpriseManager,
    settings: &EnterpriseManagerSettings,
    longest: Duration,
) -> Outcome<()> {
    // A second one beside it could count as a second wrong password, and would leave a session open.
    let patience = longest + Duration::from_secs(1);
    match enterprise_manager.log_on(patience).await {
        Ok(()) => good((), format!("as {}", settings.username)),
        Err(error) => Err(of_error(&error, settings)),
    }
}

/// The newest session, if there is any.
async fn newest(
    enterprise_manager: &EnterpriseManager,
    longest: Duration,
) -> Result<Option<ReplicaSession>, Error> {
    let list = SessionList {
        filter: SessionFilter::default(),
        view: View::Entity,
        order: Order::NewestFirst,
        page_size: 1,
    };
    let patience = Patience::until(Instant::now() + longest);
    let begin = Position::default();
    let page = enterprise_manager.session_page(&list, &begin, &patience);
    Ok(page.await?.sessions.into_iter().next())
}

/// A session of the plain list, which needs no query service: any one will do.
async fn any_session(enterprise_manager: &EnterpriseManager) -> Option<SessionId> {
    const MARK: &str = "urn:veeam:ReplicaJobSession:";
    let answer = enterprise_manager
        .ask_logged_on("api/replicaSessions")
        .await;
    let answer = answer.ok().filter(|answer| answer.status == 200)?;
    let text = String::from_utf8_lossy(&answer.body);
    let id = text.split_once(MARK)?.1.get(..36)?;
    id.parse().ok()
}

/// Which role the account has, as far as can be seen: one may read what the other may not.
async fn role(
    enterprise_manager: &EnterpriseManager,
    newest: Option<&ReplicaSession>,
) -> Outcome<()> {
    let run = newest.and_then(|session| session.run.as_ref());
    let job = run.and_then(|run| run.job_uid.rsplit(':').next()?.parse().ok());
    let job: uuid::Uuid = job.unwrap_or_default();
    let path = format!("api/jobs/{job}/replicaSessions");
    let status = enterprise_manager.ask_logged_on(&path).await;
    match status.map(|answer| answer.status) {
        Ok(403) => good((), "may read replica sessions and no jobs: Portal User"),
        Ok(200) => odd(
            "may read replica sessions and jobs: Portal Administrator".to_owned(),
            "Portal User is enough",
        ),
        _ => good(
            (),
            "may read replica sessions: Portal User or Portal Administrator",
        ),
    }
}

async fn read_one(
    enterprise_manager: &EnterpriseManager,
    settings: &EnterpriseManagerSettings,
    id: SessionId,
    longest: Duration,
) -> Outcome<()> {
    let patience = Patience::until(Instant::now() + longest);
    let asked = Instant::now();
    let reading = enterprise_manager.replica_session(id, View::Entity, &patience);
    match reading.await {
        Ok(reading) => {
            let state = reading.session.run.as_ref().and_then(|run| run.state);
            let state = state.map_or("in a state that this gateway does not know", |state| {
                state.text()
            });
            let took = asked.elapsed().as_millis();
            good((), format!("{id}, {state}, in {took} ms"))
        }
        Err(error) => Err(of_error(&error, settings)),
    }
}
