//! The steps of a check in their order. If one fails, the steps that depend on it are not done.

use std::{fs::File, time::Duration};

use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{
    batch, follow,
    network::{connect_to_any, establish_tls, recognise_server, resolve_host},
    output::{Output, Success},
    problem::{Problem, of_error},
    recognise::session_uids,
    report::{OpenLogon, report},
    target::Target,
};
use crate::{
    cli::ExitCode,
    enterprise_manager::{
        EnterpriseManager, Handshake, Order, Position, ReadContext, ReplicaSession, SessionFilter,
        SessionId, SessionList, View,
    },
    runtime::readable::duration,
};

/// The steps in their order, between `settings` (`in_effect.rs`) and `report`.
pub(super) const NAMES: [&str; 11] = [
    "resolve",
    "connect",
    "tls",
    "recognise",
    "logon",
    "role",
    "list",
    "read",
    "batch",
    "follow",
    "logoff",
];

/// An answer that takes longer is slow: most take a few milliseconds.
const SLOW: Duration = Duration::from_secs(1);

/// The outcome of a step.
type StepResult<T = ()> = Result<Success<T>, Problem>;

/// One check of one Enterprise Manager.
pub(super) struct Check<'c> {
    pub(super) output: &'c mut Output,
    pub(super) target: Target<'c>,
    /// The result of the TLS handshake, once it is done.
    pub(super) tls: Option<Handshake>,
}

impl Check<'_> {
    /// Does all steps, and logs off, unless the future is dropped.
    pub(super) async fn run(&mut self, report: Option<File>, open: &OpenLogon) {
        if self.until_logged_on().await.is_some() {
            self.read_sessions().await;
            if let Some(file) = report {
                self.report(file, open).await;
            }
            self.step("logoff", log_off(self.target.enterprise_manager)).await;
        } else {
            if report.is_some() {
                self.output.not_done("report", "not done; the file is unchanged");
            }
            // The server may have accepted a logon although its answer did not arrive in time.
            self.target.enterprise_manager.log_off().await;
        }
    }

    /// Does a step within its time limit, and prints it. `None` if it failed.
    async fn step<T>(
        &mut self,
        name: &'static str,
        step: impl Future<Output = StepResult<T>>,
    ) -> Option<T> {
        match self.in_time(step).await {
            Ok(success) => Some(self.output.succeeded(name, success)),
            Err(problem) => {
                self.output.failed(name, problem);
                None
            }
        }
    }

    /// The same, for a step that takes as long as calls have to wait.
    async fn timed_step<T>(
        &mut self,
        name: &'static str,
        step: impl Future<Output = StepResult<T>>,
    ) -> Option<T> {
        let (sent, deadline) = (Instant::now(), self.target.default_deadline);
        let step = Box::pin(step);
        let timed = async { Ok(in_time_for_calls(step.await?, sent.elapsed(), deadline)) };
        self.step(name, timed).await
    }

    async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let time_limit = self.target.time_limit;
        timeout(time_limit, step).await.unwrap_or_else(|_| Err(Problem::timed_out(time_limit)))
    }

    async fn until_logged_on(&mut self) -> Option<()> {
        let settings = self.target.settings;
        let url = &settings.url;
        let addresses = self.step("resolve", resolve_host(url)).await?;
        let stream = self.step("connect", connect_to_any(url, addresses)).await?;
        if url.scheme() == "https" {
            self.tls = Some(self.step("tls", establish_tls(settings, stream)).await?);
        } else {
            // A server that accepts one connection at a time would not answer the next one.
            drop(stream);
            let why = "--em-url is http://, so anybody on the network can read the password";
            self.output.not_done("tls", why);
        }
        let recognise = recognise_server(self.target.enterprise_manager, settings);
        self.step("recognise", recognise).await?;
        self.timed_step("logon", log_on(self.target)).await
    }

    /// Lists the newest session, determines what the account may do, and reads that session.
    async fn read_sessions(&mut self) {
        const NONE: &str = "there is no replica session yet";
        let sent = Instant::now();
        let newest = match self.in_time(newest_session(self.target)).await {
            Ok(newest) => newest,
            Err(problem) if problem.exit_code == ExitCode::NO_PERMISSION => {
                self.output.failed("role", problem);
                return;
            }
            Err(problem) => {
                self.without_list(problem).await;
                return;
            }
        };
        let took = sent.elapsed();
        let role = role(self.target.enterprise_manager, newest.as_ref());
        self.step("role", role).await;
        let deadline = self.target.default_deadline;
        let listed = |text| in_time_for_calls(Success::new((), text), took, deadline);
        let Some(session) = newest else {
            self.output.succeeded("list", listed(format!("works; {NONE}")));
            self.output.ok("read", NONE);
            self.output.not_done("batch", NONE);
            self.follow(None).await;
            return;
        };
        let created = session.entity.as_ref().and_then(|run| run.created_at);
        let created = created.map_or_else(String::new, |at| format!(", created {at:.0}"));
        let text = format!("the newest session is {}{created}", session.id);
        self.output.succeeded("list", listed(text));
        self.read(session.id).await;
        self.follow(Some(&session)).await;
    }

    /// Asks for the sessions that run or have ended lately.
    async fn follow(&mut self, newest: Option<&ReplicaSession>) {
        let followed = async { Ok(Box::pin(follow::follow(self.target, newest)).await) };
        // The gateway works without this, too.
        let success =
            self.in_time(followed).await.unwrap_or_else(|problem| follow::unusable(&problem.text));
        self.output.succeeded("follow", success);
    }

    /// Reads the session by its id, and in a query.
    async fn read(&mut self, id: SessionId) {
        if self.timed_step("read", read_one(self.target, id)).await.is_none() {
            return;
        }
        if self.target.settings.batch == 1 {
            self.output.not_done("batch", "switched off with --em-batch 1");
            return;
        }
        let settings = self.target.settings;
        let compared = async {
            let compared = batch::compare(self.target, id).await;
            compared.map_err(|error| of_error(&error, settings))
        };
        // The gateway works without batches.
        let success = self.in_time(compared).await.unwrap_or_else(|problem| {
            batch::unused(
                &problem.text,
                if problem.is_timeout() { batch::SLOW } else { &problem.remedy },
            )
        });
        self.output.succeeded("batch", success);
    }

    /// If the query service does not answer, reads any session of the plain list.
    async fn without_list(&mut self, problem: Problem) {
        let text = format!("no list of sessions: {}", problem.text);
        let is_answered = problem.exit_code == ExitCode::SOFTWARE;
        self.output.not_done("role", "cannot be determined without a list");
        self.output.failed("list", Problem { text, ..problem });
        let any = any_session(self.target.enterprise_manager);
        match timeout(self.target.time_limit, any).await.ok().flatten() {
            Some(id) => self.read(id).await,
            None => self.output.not_done("read", "no session is known"),
        }
        if is_answered {
            // A session that fails a list does not fail those who follow.
            self.follow(None).await;
        } else {
            self.output.not_done("follow", "not possible without a list");
        }
    }

    async fn report(&mut self, file: File, open: &OpenLogon) {
        match report(self.target, self.tls, open, file).await {
            Ok((sent, answered)) => self.output.ok(
                "report",
                format!(
                    "Enterprise Manager answered {answered} of {sent} requests; please read the file \
                     and send it to the maintainers"
                ),
            ),
            Err(error) => {
                let text = format!("the file cannot be written: {error}");
                let remedy = "free some disk space, or choose another file";
                let problem = Problem::new(ExitCode::CANNOT_CREATE, text, remedy);
                self.output.failed("report", problem);
            }
        }
    }
}

/// A step succeeded in this time, which calls have to wait for Enterprise Manager too.
fn in_time_for_calls<T>(success: Success<T>, took: Duration, deadline: Duration) -> Success<T> {
    if took <= deadline.min(SLOW) || success.remedy.is_some() {
        return success;
    }
    let is_late = took > deadline;
    let (took, deadline) = (duration(took), duration(deadline));
    if !is_late {
        return success.but(format!(
            "the answer took {took}, which is slow: check Enterprise Manager's load and its database, and what is \
             between it and this machine; callers need deadlines well above that"
        ));
    }
    success.but(format!(
        "the answer took {took}, longer than calls without a deadline wait (--default-deadline, {deadline}): \
         check Enterprise Manager's load; if it is always so slow, raise --default-deadline, and tell \
         callers to set longer deadlines"
    ))
}

async fn log_on(target: Target<'_>) -> StepResult {
    match target.enterprise_manager.log_on().await {
        Ok(()) => Ok(Success::new((), format!("as {}", target.settings.username))),
        Err(error) => Err(of_error(&error, target.settings)),
    }
}

async fn log_off(enterprise_manager: &EnterpriseManager) -> StepResult {
    let text = if enterprise_manager.cannot_log_off() {
        "not possible: the answer to the logon contained no session id".to_owned()
    } else {
        match enterprise_manager.log_off().await {
            Some(200..300) => return Ok(Success::new((), "logged off")),
            Some(status) => format!("Enterprise Manager answered with status {status}"),
            None => "Enterprise Manager did not answer".to_owned(),
        }
    };
    Ok(Success::new((), text)
        .but("this is harmless: Enterprise Manager ends the session after 15 idle minutes"))
}

/// The newest session, if there is any.
async fn newest_session(target: Target<'_>) -> Result<Option<ReplicaSession>, Problem> {
    let list = SessionList {
        filter: SessionFilter::default(),
        view: View::Entity,
        order: Order::NewestFirst,
        page_size: 1,
    };
    let context = ReadContext::until(Instant::now() + target.time_limit);
    let begin = Position::default();
    let page = target.enterprise_manager.page(&list, &begin, &context, None);
    let page = page.await.map_err(|error| of_error(&error, target.settings))?;
    Ok(page.items.into_iter().next())
}

/// A session of the plain list.
async fn any_session(enterprise_manager: &EnterpriseManager) -> Option<SessionId> {
    let answer = enterprise_manager.ask_logged_on("api/replicaSessions");
    let answer = answer.await.ok().filter(|answer| answer.status == 200)?;
    let text = String::from_utf8_lossy(&answer.body);
    let (id, _) = session_uids(&text).next()?;
    id.to_string().parse().ok()
}

/// Determines the role of the account with a list that only one of two roles may read.
async fn role(
    enterprise_manager: &EnterpriseManager,
    newest: Option<&ReplicaSession>,
) -> StepResult {
    let run = newest.and_then(|session| session.entity.as_ref());
    let job: Option<Uuid> = run.and_then(|run| run.job_uid.rsplit(':').next()?.parse().ok());
    let path = format!("api/jobs/{}/replicaSessions", job.unwrap_or_default());
    let answer = enterprise_manager.ask_logged_on(&path).await;
    Ok(match answer.map(|answer| answer.status.as_u16()) {
        Ok(403) => Success::new(
            (),
            "Portal User: may read replica sessions, which is all that the gateway needs",
        ),
        Ok(200) => Success::new((), "Portal Administrator: may read replica sessions, and more")
            .but("Portal User is enough"),
        _ => Success::new((), "Portal User or Portal Administrator: may read replica sessions"),
    })
}

async fn read_one(target: Target<'_>, id: SessionId) -> StepResult {
    let sent = Instant::now();
    let context = ReadContext::until(sent + target.time_limit);
    let reading = target.enterprise_manager.replica_session(id, View::Entity, &context);
    let reading = reading.await.map_err(|error| of_error(&error, target.settings))?;
    let state = reading.session.entity.as_ref().and_then(|run| run.state);
    let state = state.map_or("in a state that this gateway does not know", |state| state.text());
    let took = sent.elapsed().as_millis();
    Ok(Success::new((), format!("{id}, {state}, in {took} ms")))
}
