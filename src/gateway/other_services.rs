//! The services for health and reflection, which come from tonic.
//!
//! Why not tonic's `Routes`? It is a router of axum, for three paths: compiling axum takes 4 s.

use std::{convert::Infallible, error::Error, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body as HttpBody;
use tonic::{Status, body::Body, server::NamedService};
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

/// Services by name; clones share them.
#[derive(Clone, Default)]
pub(crate) struct OtherServices(Arc<[(&'static str, BoxedService)]>);

type BoxedService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

impl OtherServices {
    /// All that there are, each made by [`named`].
    pub(crate) fn new(services: impl Into<Arc<[(&'static str, BoxedService)]>>) -> Self {
        Self(services.into())
    }

    /// Calls the service that the path begins with.
    pub(super) async fn call<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let path = request.uri().path().strip_prefix('/').unwrap_or_default();
        let called = path.split('/').next();
        let Some((_, service)) = self.0.iter().find(|(name, _)| Some(*name) == called) else {
            return Status::unimplemented("").into_http();
        };
        let Ok(response) = service.clone().oneshot(request.map(Body::new)).await;
        response
    }
}

/// A service with its name, to be one of [`OtherServices`].
pub(crate) fn named<S>(service: S) -> (&'static str, BoxedService)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    (S::NAME, BoxedService::new(service))
}
