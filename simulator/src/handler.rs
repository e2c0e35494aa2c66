//! Answers one request: the checks of the HTTP layer, authentication, faults, and the resource.
//!
//! What the HTTP layer of Windows refuses never reaches Enterprise Manager, so those checks come
//! first. The order of the others (401, 405, 403) is our choice: no recording shows it.

use std::{future, time::Duration};

use hyper::{
    HeaderMap, Method, Request, StatusCode,
    header::{
        CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, SET_COOKIE,
        TRANSFER_ENCODING,
    },
};
use tokio::time::sleep;

use crate::{
    Shared,
    body::Pace,
    element::Element,
    faults::{Effects, ErrorStatus, Replacement},
    filter::Filter,
    logons::{Logon, TOKEN_HEADER},
    options::Generation,
    pages,
    reply::{Format, Reply, RequestError},
    resources::{Snapshot, no_such_logon_session, resource},
    routes::{Parameters, Route},
    views::Views,
};

/// The reply to a request, and the pace at which its body is sent.
///
/// The future may be dropped at any point, for instance when the client disconnects.
pub(crate) async fn handle<B>(shared: &Shared, request: &Request<B>) -> (Reply, Pace) {
    let (method, headers) = (request.method(), request.headers());
    if method == Method::POST && !has_length(headers) {
        let explanation = "The request must be chunked or have a content length.";
        return immediate(Reply::http_layer(StatusCode::LENGTH_REQUIRED, explanation));
    }
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > shared.longest_target {
        let explanation = "The request URL is too long.";
        return immediate(Reply::http_layer(StatusCode::URI_TOO_LONG, explanation));
    }
    let Some(route) = Route::find(request.uri().path()) else {
        let explanation = "The requested resource is not found.";
        return immediate(Reply::http_layer(StatusCode::NOT_FOUND, explanation));
    };
    let handler = Handler { shared, format: Format::accepted_by(headers) };
    let role = shared.logons.authenticate(headers, shared.clock.uptime());
    if role.is_none() && !matches!(route, Route::Root | Route::Logon) {
        return immediate(handler.refuse(StatusCode::UNAUTHORIZED, "Unauthorized"));
    }
    if !route.allows(method) {
        return immediate(handler.refuse(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed."));
    }
    match route {
        Route::Root => immediate(handler.document(StatusCode::OK, &shared.views.root())),
        Route::Logon => immediate(handler.log_on(headers).await),
        Route::LogonSession(id) if method == Method::DELETE => {
            immediate(handler.log_off(&id).await)
        }
        route => {
            let parameters = Parameters::parse(request.uri().query().unwrap_or_default());
            let may_read = role.is_some_and(|role| route.is_open_to(role));
            handler.read(&route, &parameters, may_read).await
        }
    }
}

/// What every reply to one request needs.
struct Handler<'a> {
    shared: &'a Shared,
    format: Format,
}

impl Handler<'_> {
    async fn log_on(&self, headers: &HeaderMap) -> Reply {
        pause(self.shared.faults.logon_delay()).await;
        if let Some(canned) = self.shared.canned.logon() {
            return canned.into();
        }
        // From a client that had to change for release 13. The body of the answer is unknown.
        if self.shared.views.style.generation == Generation::Version13 && has_form(headers) {
            return self.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type.");
        }
        let logon = match self.shared.logons.log_on(headers, self.shared.clock.uptime()) {
            Logon::Accepted(logon) => logon,
            refused => {
                self.shared.observer.count(|counts| counts.logons_rejected += 1);
                return if matches!(refused, Logon::NoRole) {
                    self.refuse(StatusCode::FORBIDDEN, "Access denied.")
                } else {
                    Reply::logon_refused(self.format, self.shared.views.style)
                };
            }
        };
        self.shared.observer.count(|counts| counts.logons_accepted += 1);
        let cookie = format!("{TOKEN_HEADER}={}; Path=/api;", logon.token);
        let location = self.shared.views.href(&Views::logon_session_path(&logon));
        let body = self.shared.views.logon_session(&logon);
        self.document(StatusCode::CREATED, &body)
            .with(token_header_name(), header_value(&logon.token))
            .with(SET_COOKIE, header_value(&cookie))
            .with(LOCATION, header_value(&location))
    }

    async fn log_off(&self, session_id: &str) -> Reply {
        pause(self.shared.faults.logon_delay()).await;
        if self.shared.logons.log_off(session_id, self.shared.clock.uptime()) {
            self.shared.observer.count(|counts| counts.logoffs += 1);
            Reply::empty(StatusCode::NO_CONTENT)
        } else {
            let message = no_such_logon_session(session_id);
            self.refuse(StatusCode::INTERNAL_SERVER_ERROR, message)
        }
    }

    /// Reads a resource, subject to the active faults.
    async fn read(&self, route: &Route, parameters: &Parameters, may_read: bool) -> (Reply, Pace) {
        if route.is_session_read() {
            self.shared.observer.count(|counts| counts.session_reads += 1);
        }
        let effects = self.shared.faults.next_effects();
        pause(effects.delay).await;
        if matches!(route, Route::Query) {
            pause(self.shared.faults.query_delay()).await;
        }
        if let Route::ReplicaSession(id) = route
            && self.shared.canned.is_silent(id)
        {
            future::pending::<()>().await;
        }
        let reply = match &effects.replacement {
            Some(Replacement::Silence) => future::pending().await,
            Some(Replacement::Status(error)) => error.reply(self.format, self.shared.views.style),
            Some(Replacement::WebUi) => {
                Reply::new(StatusCode::OK, "text/html; charset=utf-8", pages::WEB_UI_LOGIN)
            }
            None if !may_read => self.refuse(StatusCode::FORBIDDEN, "Access denied."),
            None => match self.refused_alternatives(route, parameters) {
                Some(error) => error.reply(self.format, self.shared.views.style),
                None => self.resource(route, parameters, &effects),
            },
        };
        if route.is_session_read() && self.shared.faults.expire_after_session_read() {
            self.shared.logons.invalidate();
        }
        let reply = match effects.cut {
            None => reply,
            Some(kept) => reply.cut(kept),
        };
        (reply, effects.pace)
    }

    /// The fault that a query meets because of its filter.
    fn refused_alternatives(&self, route: &Route, parameters: &Parameters) -> Option<ErrorStatus> {
        let error = self.shared.faults.of_alternatives()?;
        let filter = parameters.get("filter").filter(|_| matches!(route, Route::Query))?;
        let filter = Filter::parse(filter).ok()?;
        filter.has_alternatives().then_some(error)
    }

    fn resource(&self, route: &Route, parameters: &Parameters, effects: &Effects) -> Reply {
        let canned = match route {
            Route::ReplicaSession(id) => self.shared.canned.session(id),
            Route::TasksOf(id) => self.shared.canned.tasks(id),
            Route::Query => self.shared.canned.query(),
            _ => None,
        };
        if let Some(canned) = canned {
            return canned.into();
        }
        // Taken after any delay: a late response carries current data.
        let now = self.shared.clock.uptime();
        let snapshot = Snapshot {
            shared: self.shared,
            now,
            collected: effects.collected(now),
            unknown_id_500: effects.unknown_id_500,
        };
        match resource(&snapshot, route, parameters) {
            Ok(mut element) => {
                for flaw in self.shared.faults.flaws() {
                    flaw.spoil(&mut element, matches!(route, Route::Query));
                }
                self.document(StatusCode::OK, &element)
            }
            Err(error) => Reply::error(&error, self.format, self.shared.views.style),
        }
    }

    fn document(&self, status: StatusCode, root: &Element) -> Reply {
        Reply::document(status, root, self.format, self.shared.views.style)
    }

    fn refuse(&self, status: StatusCode, message: impl Into<String>) -> Reply {
        let error = RequestError::new(status, message);
        Reply::error(&error, self.format, self.shared.views.style)
    }
}

fn immediate(reply: Reply) -> (Reply, Pace) {
    (reply, Pace::Immediate)
}

/// Waits for `delay`. Skips the timer for a delay of zero: it would take up to a millisecond.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}

fn has_length(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

/// Whether a request has a body that is a form.
fn has_form(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let form = text(CONTENT_TYPE).is_some_and(|value| {
        value.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
    });
    form && text(CONTENT_LENGTH).is_none_or(|length| length != "0")
}

fn token_header_name() -> HeaderName {
    HeaderName::from_bytes(TOKEN_HEADER.as_bytes()).expect("the name of the token header is valid")
}

fn header_value(text: &str) -> HeaderValue {
    // `Location` names the host of the options, which may be any text.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
