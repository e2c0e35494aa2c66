//! `check --report`: records how this Enterprise Manager answers about thirty requests, with every text
//! replaced by its shape.
//!
//! The gateway was written without access to an Enterprise Manager, from what others have published. A
//! report from a real one shows where that is incomplete, and a recorded answer can become a fixture of
//! the tests. The report records answers and does not judge them, because a list of checks would find
//! only what somebody had thought of.

mod redact;
mod requests;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write as _},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{recognise::session_uids, target::Target};
use crate::enterprise_manager::{EmResponse, EnterpriseManager, Handshake, parse_session_id};
pub use redact::Redactor;
use requests::Credentials;
pub use requests::{REQUESTS, Request};

/// The version of the file's format. It increases when the format changes, but not when requests
/// are added or removed.
const FORMAT: u32 = 2;

const WRITTEN_BY: &str =
    concat!("replica-session-gateway ", env!("CARGO_PKG_VERSION"), " check --report");

/// An id that no session, task or logon session has.
const NOBODY: &str = "5a5a5a5a-5a5a-4a5a-8a5a-5a5a5a5a5a5a";

/// How long a logoff that is not recorded may take.
const LOGOFF_TIMEOUT: Duration = Duration::from_secs(2);

/// After this many consecutive requests without an answer, the report sends no more.
const MAX_UNANSWERED: u32 = 3;

/// Maximum number of bytes recorded from the start of a body; of a longer one, the end is too.
const MAX_RECORDED: usize = 96 * 1024;

/// Number of bytes recorded from the end of such a body, which contains the paging information.
const RECORDED_END: usize = 4 * 1024;

/// The file.
#[derive(Serialize)]
struct Report {
    format: u32,
    written_by: &'static str,
    note: &'static str,
    tls: Option<Handshake>,
    exchanges: Vec<RecordedExchange>,
}

/// A request that was sent.
#[derive(Serialize)]
struct RecordedExchange {
    name: &'static str,
    request: &'static str,
    /// `None` if there was no complete answer of at most 8 MiB in time.
    answer: Option<RecordedAnswer>,
}

/// An answer, with every text replaced by its shape.
#[derive(Serialize)]
struct RecordedAnswer {
    status: u16,
    milliseconds: u128,
    headers: Vec<String>,
    /// Size of the original body in bytes.
    bytes: usize,
    body: String,
    /// What the body looks like, if it is not recorded because it is not UTF-8 text.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<&'static str>,
}

/// The open logon session of a report, so that it can be ended early.
#[derive(Default)]
pub(super) struct OpenLogon(Mutex<Option<(HeaderMap, Uuid)>>);

impl OpenLogon {
    /// Ends it, if there is one. Best effort, 2 s at most.
    pub(super) async fn end(&self, enterprise_manager: &EnterpriseManager) {
        let Some((token, id)) = self.0.lock().take() else { return };
        let path = format!("api/logonSessions/{id}");
        let answer = enterprise_manager.ask(Method::DELETE, &path, &token);
        drop(timeout(LOGOFF_TIMEOUT, answer).await);
    }
}

/// Sends the requests, each within its time limit, and writes the answers. Ends early if Enterprise Manager
/// stops answering. Returns the number of requests, and how many of them were answered.
///
/// # Errors
///
/// The file cannot be written.
pub(super) async fn report(
    target: Target<'_>,
    tls: Option<Handshake>,
    open: &OpenLogon,
    mut file: File,
) -> io::Result<(usize, usize)> {
    let mut recorder = Recorder {
        target,
        open,
        redactor: Redactor::default(),
        token: HeaderMap::new(),
        values: HashMap::from([
            ("{version}", target.settings.api_version.clone()),
            ("{nobody}", NOBODY.to_owned()),
        ]),
    };
    let report = Report {
        format: FORMAT,
        written_by: WRITTEN_BY,
        note: "Every text from Enterprise Manager is replaced by its shape: X, x and 9 for letters and digits, \
               and numbered GUIDs. Known words, times of sessions and small numbers are kept.",
        tls,
        exchanges: recorder.record_all().await,
    };
    let text = serde_json::to_string_pretty(&report)? + "\n";
    // An earlier report stays until there is something to write.
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    file.write_all(text.as_bytes())?;
    let answered = report.exchanges.iter().filter(|exchange| exchange.answer.is_some());
    Ok((report.exchanges.len(), answered.count()))
}

struct Recorder<'a> {
    target: Target<'a>,
    open: &'a OpenLogon,
    redactor: Redactor,
    token: HeaderMap,
    /// The known values of the placeholders in paths.
    values: HashMap<&'static str, String>,
}

impl Recorder<'_> {
    async fn record_all(&mut self) -> Vec<RecordedExchange> {
        let mut exchanges = Vec::new();
        let mut unanswered = 0;
        for request in REQUESTS {
            let Some(path) = self.path(&request) else { continue };
            let sent = Instant::now();
            let answer = timeout(self.target.time_limit, self.send(&request, &path)).await;
            let answer = answer.ok().flatten().map(|answer| {
                self.learn(&request, &answer);
                self.recorded(&answer, sent.elapsed())
            });
            unanswered = if answer.is_some() { 0 } else { unanswered + 1 };
            exchanges.push(RecordedExchange { name: request.name, request: request.line, answer });
            if unanswered == MAX_UNANSWERED {
                break;
            }
        }
        self.open.end(self.target.enterprise_manager).await;
        exchanges
    }

    /// The path with the ids filled in; `None` if one of them, or the token, is not known.
    fn path(&self, request: &Request) -> Option<String> {
        let mut path = request.parts().1.to_owned();
        for (placeholder, value) in &self.values {
            path = path.replace(placeholder, value);
        }
        let is_without_token = request.credentials == Credentials::Token && self.token.is_empty();
        (!path.contains('{') && !is_without_token).then_some(path)
    }

    async fn send(&mut self, request: &Request, path: &str) -> Option<EmResponse> {
        let (method, _, header) = request.parts();
        let mut headers = match request.credentials {
            Credentials::Nothing => HeaderMap::new(),
            Credentials::Token => self.token.clone(),
            Credentials::Password => {
                // Ends the session of an earlier logon.
                self.open.end(self.target.enterprise_manager).await;
                self.token.clear();
                self.values.remove("{logon}");
                let (_, version) = path.split_once("?v=")?;
                return self.target.enterprise_manager.ask_to_log_on(version).await.ok();
            }
        };
        if let Some((name, value)) = header.split_once(": ") {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.insert(name, HeaderValue::from_static(value));
        }
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        self.target.enterprise_manager.ask(method, path, &headers).await.ok()
    }

    /// Extracts what later requests need from an answer.
    fn learn(&mut self, request: &Request, answer: &EmResponse) {
        let text = String::from_utf8_lossy(&answer.body);
        let first = session_uids(&text).next();
        match (request.credentials, request.name) {
            (Credentials::Password, _) => {
                self.token = answer.token().unwrap_or_default();
                if let Ok(Some(id)) = parse_session_id(&answer.body) {
                    self.values.insert("{logon}", id.to_string());
                    *self.open.0.lock() = Some((self.token.clone(), id));
                }
            }
            (_, "newest sessions") => {
                let over = session_uids(&text).find(|(_, rest)| rest.contains(">Stopped<"));
                if let Some((id, _)) = over.or(first) {
                    self.values.insert("{session}", id.to_string());
                    self.values.insert("{SESSION}", id.to_string().to_uppercase());
                }
            }
            (_, "oldest session") => {
                self.values.extend(first.map(|(id, _)| ("{oldest}", id.to_string())));
            }
            (_, "logoff") => drop(self.open.0.lock().take()),
            _ => {}
        }
    }

    fn recorded(&mut self, answer: &EmResponse, took: Duration) -> RecordedAnswer {
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            self.redactor.header(name.as_str(), value.as_bytes())
        };
        let headers = answer.headers.iter().map(header).collect();
        let body = self.redactor.body(&answer.body);
        let unreadable = body.as_ref().err().copied();
        let mut body = body.unwrap_or_default();
        if body.len() > MAX_RECORDED {
            let is_boundary = |at: &usize| body.is_char_boundary(*at);
            let start = (0..=MAX_RECORDED - RECORDED_END).rfind(is_boundary);
            let end = (body.len() - RECORDED_END..=body.len()).find(is_boundary);
            body.replace_range(start.unwrap_or_default()..end.unwrap_or_default(), "\n[…]\n");
        }
        RecordedAnswer {
            status: answer.status.as_u16(),
            milliseconds: took.as_millis(),
            headers,
            bytes: answer.body.len(),
            body,
            unreadable,
        }
    }
}
