//! From a request to its answer.

use std::{future, time::Duration};

use hyper::{
    HeaderMap, Method, Request, StatusCode,
    header::{CONTENT_LENGTH, HeaderName, HeaderValue, SET_COOKIE, TRANSFER_ENCODING},
};
use tokio::time::sleep;

use super::{
    State,
    body::Pace,
    element::Element,
    faults::{Instead, Strike},
    logons::TOKEN_HEADER,
    pages,
    reply::{Format, Refusal, Reply},
    resources::{Known, no_such_logon_session, resource},
    routes::{Parameters, Route},
};

/// The answer to a request, and the pace it leaves at.
///
/// Dropping the future at any point leaves nothing behind.
pub(super) async fn answer<B>(state: &State, request: &Request<B>) -> (Reply, Pace) {
    let (method, headers) = (request.method(), request.headers());
    if method == Method::POST && !has_length(headers) {
        let explanation = "The request must be chunked or have a content length.";
        return at_once(Reply::http_layer(StatusCode::LENGTH_REQUIRED, explanation));
    }
    let Some(route) = Route::find(request.uri().path()) else {
        let explanation = "The requested resource is not found.";
        return at_once(Reply::http_layer(StatusCode::NOT_FOUND, explanation));
    };
    let exchange = Exchange {
        state,
        format: Format::wanted_by(headers),
    };
    let role = state.logons.authenticate(headers, state.clock.uptime());
    if role.is_none() && !matches!(route, Route::Root | Route::Logon) {
        return at_once(exchange.refuse(StatusCode::UNAUTHORIZED, "Unauthorized"));
    }
    if !route.allows(method) {
        return at_once(exchange.refuse(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed."));
    }
    match route {
        Route::Root => at_once(exchange.document(StatusCode::OK, &state.views.root())),
        Route::Logon => at_once(exchange.log_on(headers).await),
        Route::LogonSession(id) if method == Method::DELETE => at_once(exchange.log_off(&id).await),
        route => {
            let parameters = Parameters::parse(request.uri().query().unwrap_or_default());
            let may_read = role.is_some_and(|role| route.is_open_to(role));
            exchange.read(&route, &parameters, may_read).await
        }
    }
}

/// One request, as far as all answers need it.
struct Exchange<'a> {
    state: &'a State,
    format: Format,
}

impl Exchange<'_> {
    async fn log_on(&self, headers: &HeaderMap) -> Reply {
        pause(self.state.faults.logon_delay()).await;
        if let Some(canned) = self.state.canned.logon() {
            return canned.into();
        }
        let Some(logon) = self.state.logons.log_on(headers, self.state.clock.uptime()) else {
            self.state
                .observer
                .count(|counts| counts.logons_rejected += 1);
            return Reply::logon_refused(self.format, self.state.views.style);
        };
        self.state
            .observer
            .count(|counts| counts.logons_accepted += 1);
        let cookie = format!("{TOKEN_HEADER}={}; Path=/api;", logon.token);
        let body = self.state.views.logon_session(&logon);
        self.document(StatusCode::CREATED, &body)
            .with(token_header_name(), header_value(&logon.token))
            .with(SET_COOKIE, header_value(&cookie))
    }

    async fn log_off(&self, session_id: &str) -> Reply {
        pause(self.state.faults.logon_delay()).await;
        if self
            .state
            .logons
            .log_off(session_id, self.state.clock.uptime())
        {
            self.state.observer.count(|counts| counts.logoffs += 1);
            Reply::empty(StatusCode::NO_CONTENT)
        } else {
            let message = no_such_logon_session(session_id);
            self.refuse(StatusCode::INTERNAL_SERVER_ERROR, message)
        }
    }

    /// Reads a resource, through whatever is made to go wrong.
    async fn read(&self, route: &Route, parameters: &Parameters, may_read: bool) -> (Reply, Pace) {
        if route.is_session_read() {
            self.state
                .observer
                .count(|counts| counts.session_reads += 1);
        }
        let strike = self.state.faults.strike();
        pause(strike.delay).await;
        let reply = match &strike.instead {
            Some(Instead::Silence) => future::pending().await,
            Some(Instead::Status(error)) => error.reply(self.format, self.state.views.style),
            Some(Instead::WebUi) => Reply::new(
                StatusCode::OK,
                "text/html; charset=utf-8",
                pages::WEB_UI_LOGIN,
            ),
            None if !may_read => self.refuse(StatusCode::FORBIDDEN, "Access denied."),
            None => self.found(route, parameters, &strike),
        };
        if route.is_session_read() && self.state.faults.expire_after_session_read() {
            self.state.logons.invalidate();
        }
        (reply, strike.pace)
    }

    fn found(&self, route: &Route, parameters: &Parameters, strike: &Strike) -> Reply {
        let canned = match route {
            Route::ReplicaSession(id) => self.state.canned.session(id),
            Route::TasksOf(id) => self.state.canned.tasks(id),
            Route::Query => self.state.canned.query(),
            _ => None,
        };
        if let Some(canned) = canned {
            return canned.into();
        }
        // The time after any delay: a late answer is not an old one.
        let now = self.state.clock.uptime();
        let known = Known {
            state: self.state,
            now,
            collected: strike.collected(now),
            unknown_id_500: strike.unknown_id_500,
        };
        match resource(&known, route, parameters) {
            Ok(element) => self.document(StatusCode::OK, &element),
            Err(refusal) => Reply::error(&refusal, self.format, self.state.views.style),
        }
    }

    fn document(&self, status: StatusCode, root: &Element) -> Reply {
        Reply::document(status, root, self.format, self.state.views.style)
    }

    fn refuse(&self, status: StatusCode, message: impl Into<String>) -> Reply {
        let refusal = Refusal::new(status, message);
        Reply::error(&refusal, self.format, self.state.views.style)
    }
}

fn at_once(reply: Reply) -> (Reply, Pace) {
    (reply, Pace::AtOnce)
}

/// Waits for so long. No time at all takes no time, where a timer would take up to a millisecond.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}

fn has_length(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

fn token_header_name() -> HeaderName {
    HeaderName::from_bytes(TOKEN_HEADER.as_bytes()).expect("the name of the token header is valid")
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("base64 is valid in a header")
}
