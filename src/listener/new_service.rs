//! What the listener needs from whatever it serves.

use std::convert::Infallible;

use http::{Request, Response};
use hyper::{body::Incoming, service::Service};
use tonic::body::Body;

use super::connection_handle::ConnectionHandle;

/// Creates the service for each connection. Clones create equal services.
pub(crate) trait NewService: Clone + Send + 'static {
    /// Serves the requests of one connection.
    type Service: Service<
            Request<Incoming>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Send
        + 'static;

    /// The service of this connection.
    fn new_service(&self, connection: ConnectionHandle) -> Self::Service;
}
