//! All services behind one: calls about sessions go straight to theirs, all others through tonic's
//! router.
//!
//! The router boxes the body of each request and of each answer once more, and clones the service for
//! each call: work that the calls of health and reflection can afford, and the others need not do.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::{body::Body, server::NamedService, service::Routes};
use tower::Service;

/// The service of sessions, and the others.
#[derive(Clone)]
pub struct Services<S> {
    sessions: S,
    others: Routes,
}

impl<S> Services<S> {
    /// Calls of `sessions` are its own, whatever `others` has.
    pub fn new(sessions: S, others: Routes) -> Self {
        Self { sessions, others }
    }
}

impl<S> Service<Request<Incoming>> for Services<S>
where
    S: NamedService + Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, <Routes as Service<Request<Incoming>>>::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match self.sessions.poll_ready(cx) {
            Poll::Ready(Ok(())) => Service::<Request<Incoming>>::poll_ready(&mut self.others, cx),
            waits => waits,
        }
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if is_of(request.uri().path(), S::NAME) {
            Either::Left(self.sessions.call(request.map(Body::new)))
        } else {
            Either::Right(self.others.call(request))
        }
    }
}

/// Whether a path is `/service/method`.
fn is_of(path: &str, service: &str) -> bool {
    let rest = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(service));
    rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_service_s_when_it_names_it_and_a_method() {
        assert!(is_of("/a.B/Get", "a.B"));
        for path in [
            "/a.B",
            "/a.B/",
            "a.B/Get",
            "/a.Bc/Get",
            "//a.B/Get",
            "/x/a.B/Get",
            "",
        ] {
            assert!(!is_of(path, "a.B"), "{path}");
        }
    }
}
