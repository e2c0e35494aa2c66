//! What is asked of Enterprise Manager for a report: reads only, one at a time, under a logon session
//! of its own that is ended in the end.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::evidence::{Ask, Evidence, Seen};
use crate::{
    cli::check::outline::{Element, Outline, child},
    enterprise_manager::{Answer, EnterpriseManager, connect, resolve, shake_hands},
    settings::EnterpriseManagerSettings,
};

/// An id that no session, task or logon has.
const NOBODY: Uuid = Uuid::from_u128(0x5a5a_5a5a_5a5a_4a5a_8a5a_5a5a_5a5a_5a5a);

/// How long an early logoff may take.
const LOGOFF_TIMEOUT: Duration = Duration::from_secs(2);

/// After so many requests in a row without an answer, no more are sent.
const PATIENCE: u32 = 3;

/// The logon session of a report while it is open, for whoever has to end it early.
#[derive(Default)]
pub(in crate::cli::check) struct Open(Mutex<Option<(HeaderMap, Uuid)>>);

impl Open {
    /// Ends it, if there is one. Best effort, 2 s at most.
    pub(in crate::cli::check) async fn end(&self, enterprise_manager: &EnterpriseManager) {
        let Some((token, id)) = self.lock().take() else {
            return;
        };
        let path = format!("api/logonSessions/{id}");
        let answer = enterprise_manager.ask(Method::DELETE, &path, &token);
        drop(timeout(LOGOFF_TIMEOUT, answer).await);
    }

    fn lock(&self) -> MutexGuard<'_, Option<(HeaderMap, Uuid)>> {
        self.0.lock()
    }
}

/// Asks for everything, each within `longest`. Ends early when Enterprise Manager ceases to answer.
pub(super) async fn gather(
    enterprise_manager: &EnterpriseManager,
    settings: &EnterpriseManagerSettings,
    longest: Duration,
    open: &Open,
) -> Evidence {
    let url = &settings.url;
    let mut asking = Asking {
        enterprise_manager,
        settings,
        longest,
        open,
        silences: 0,
        token: HeaderMap::new(),
        evidence: Evidence {
            host: format!(
                "{}:{}",
                url.host_str().unwrap_or_default(),
                url.port_or_known_default().unwrap_or_default()
            ),
            ..Evidence::default()
        },
    };
    asking.shake_hands().await;
    let none = HeaderMap::new();
    asking.get(Ask::Root, "api/", &none).await;
    let path = format!("api/sessionMngr/?v={}", settings.api_version);
    asking
        .send(Ask::BareLogon, Method::POST, &path, &none)
        .await;
    asking.log_on(Ask::OddVersion, "v9_9").await;
    // Whatever that has given is given back.
    open.end(enterprise_manager).await;
    let id = asking.log_on(Ask::Logon, &settings.api_version).await;
    if !asking.token.is_empty() {
        asking.lists().await;
        asking.one().await;
        asking.unknown().await;
    }
    if let Some(id) = id {
        asking.log_off(id).await;
    }
    asking.evidence
}

struct Asking<'a> {
    enterprise_manager: &'a EnterpriseManager,
    settings: &'a EnterpriseManagerSettings,
    longest: Duration,
    open: &'a Open,
    /// Requests in a row without an answer.
    silences: u32,
    token: HeaderMap,
    evidence: Evidence,
}

impl Asking<'_> {
    async fn shake_hands(&mut self) {
        let (url, trust) = (&self.settings.url, &self.settings.trust);
        if url.scheme() != "https" {
            return;
        }
        let shaken = timeout(self.longest, async {
            let address = *resolve(url).await.ok()?.first()?;
            let stream = connect(address).await.ok()?;
            shake_hands(url, trust, stream).await.ok()
        });
        self.evidence.handshake = shaken.await.ok().flatten();
    }

    /// Logs on; the token is for what is asked from then on, the id to log off with.
    async fn log_on(&mut self, ask: Ask, version: &str) -> Option<Uuid> {
        let asked = Instant::now();
        // That of another logon must not stand in for one that does not come about.
        self.token.clear();
        let answer = self.enterprise_manager.ask_to_log_on(version);
        let answer = timeout(self.longest, answer).await.ok()?.ok()?;
        let seen = seen(ask, answer, asked);
        self.token
            .extend(seen.answer.token().map(|(name, value)| (Some(name), value)));
        let id = seen
            .outline
            .all("SessionId")
            .find_map(|id| id.text.trim().parse().ok());
        *self.open.lock() = id.map(|id| (self.token.clone(), id));
        self.evidence.all.push(seen);
        id
    }

    /// Logs off, and once more, and asks with what is left.
    async fn log_off(&mut self, id: Uuid) {
        // Also when it has ceased to answer: this is the one that has to be tried.
        self.silences = 0;
        let token = self.token.clone();
        let path = format!("api/logonSessions/{id}");
        self.send(Ask::LogOff, Method::DELETE, &path, &token).await;
        if self.evidence.get(Ask::LogOff).is_none() {
            return self.open.end(self.enterprise_manager).await;
        }
        self.open.lock().take();
        self.send(Ask::LogOffAgain, Method::DELETE, &path, &token)
            .await;
        self.get(
            Ask::DeadToken,
            &format!("api/replicaSessions/{NOBODY}"),
            &token,
        )
        .await;
    }

    async fn lists(&mut self) {
        let query = |rest: &str| format!("api/query?type=ReplicaJobSession{rest}");
        let entities = "&format=Entities&sortDesc=CreationTime";
        for (ask, path) in [
            (Ask::Page, query(&format!("{entities}&pageSize=100&page=1"))),
            (Ask::DefaultPage, query("")),
            (Ask::Page1000, query("&pageSize=1000")),
            (Ask::Page2000, query("&pageSize=2000")),
            (Ask::PastEnd, query("&pageSize=100&page=100000")),
            (Ask::Nothing, query(&format!("&format=Entities&filter=Name%3D%3D%22{NOBODY}%22"))),
            (Ask::BadFilter, query("&filter=Name%3D%3D")),
            (Ask::BothSorts, query("&pageSize=1&sortAsc=CreationTime&sortDesc=CreationTime")),
            (Ask::Oldest, query("&format=Entities&sortAsc=CreationTime&pageSize=1&page=1")),
            (
                Ask::TaskPage,
                "api/query?type=ReplicaTaskSession&format=Entities&sortDesc=CreationTime&pageSize=100"
                    .to_owned(),
            ),
            (Ask::List, "api/replicaSessions?format=Entity".to_owned()),
        ] {
            self.read(ask, &path).await;
        }
    }

    /// One session that is over, in all ways; the newest one where none is.
    async fn one(&mut self) {
        let sessions = self.evidence.sessions();
        let is_over = |session: &&&[Element]| {
            let state = child(session, "State");
            state.is_some_and(|state| state.text.trim() == "Stopped")
        };
        let over = sessions.iter().find(is_over).or(sessions.first());
        let Some(id) = over.and_then(|session| id_of(&session[0])) else {
            return;
        };
        let upper = id.to_string().to_uppercase();
        let session = format!("api/replicaSessions/{id}");
        for (ask, path) in [
            (Ask::Entity, format!("{session}?format=Entity")),
            (Ask::Reference, session.clone()),
            (Ask::OddFormat, format!("{session}?format=Nonsense")),
            (
                Ask::UpperCase,
                format!("api/replicaSessions/{upper}?format=Entity"),
            ),
            (
                Ask::Urn,
                format!("api/replicaSessions/urn:veeam:ReplicaJobSession:{id}?format=Entity"),
            ),
            (
                Ask::Tasks,
                format!("{session}/replicaTaskSessions?format=Entity"),
            ),
            (
                Ask::MisspeltTasks,
                format!("{session}/repicaTaskSessions?format=Entity"),
            ),
        ] {
            self.read(ask, &path).await;
        }
        let entity = format!("{session}?format=Entity");
        for (ask, name, value) in [
            (Ask::Gzip, header::ACCEPT_ENCODING, "gzip, deflate"),
            (Ask::Json, header::ACCEPT, "application/json"),
        ] {
            let mut headers = self.token.clone();
            headers.insert(name, HeaderValue::from_static(value));
            self.get(ask, &entity, &headers).await;
        }
        let oldest = self.evidence.get(Ask::Oldest);
        let oldest = oldest.and_then(|seen| seen.outline.all("ReplicaJobSession").next());
        if let Some(id) = oldest.and_then(id_of) {
            self.read(
                Ask::OldSession,
                &format!("api/replicaSessions/{id}?format=Entity"),
            )
            .await;
        }
    }

    async fn unknown(&mut self) {
        for (ask, path) in [
            (
                Ask::UnknownId,
                format!("api/replicaSessions/{NOBODY}?format=Entity"),
            ),
            (
                Ask::MalformedId,
                "api/replicaSessions/nonsense?format=Entity".to_owned(),
            ),
            (
                Ask::UnknownTask,
                format!("api/replicaTaskSessions/{NOBODY}?format=Entity"),
            ),
            (Ask::UnknownLogon, format!("api/logonSessions/{NOBODY}")),
        ] {
            self.read(ask, &path).await;
        }
    }

    async fn read(&mut self, ask: Ask, path: &str) {
        let token = self.token.clone();
        self.get(ask, path, &token).await;
    }

    async fn get(&mut self, ask: Ask, path: &str, headers: &HeaderMap) {
        self.send(ask, Method::GET, path, headers).await;
    }

    async fn send(&mut self, ask: Ask, method: Method, path: &str, headers: &HeaderMap) {
        if self.silences >= PATIENCE {
            return;
        }
        let asked = Instant::now();
        let answer = self.enterprise_manager.ask(method, path, headers);
        if let Ok(Ok(answer)) = timeout(self.longest, answer).await {
            self.silences = 0;
            self.evidence.all.push(seen(ask, answer, asked));
        } else {
            self.silences += 1;
        }
    }
}

fn seen(ask: Ask, answer: Answer, asked: Instant) -> Seen {
    Seen {
        ask,
        took: asked.elapsed(),
        outline: Outline::of(&answer.body),
        answer,
    }
}

/// The id in an element's `UID`, if it is one.
fn id_of(element: &Element) -> Option<Uuid> {
    element.attribute("UID")?.rsplit(':').next()?.parse().ok()
}
