//! Header names in the letters that real servers use: `X-RestSvcSessionId`, which one long-lived
//! client compares exactly, `WWW-Authenticate` and `X-XSS-Protection`. All are recorded.
//!
//! hyper writes names in lower case or in title case, `X-Restsvcsessionid`. It also writes a name as
//! a message that it has read had it, if the response carries that message's extensions: meant for
//! proxies, and the type is private. So one request with these names is read at the start, and its
//! extensions are kept.

use std::{convert::Infallible, sync::Mutex};

use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
    http::Extensions,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, duplex};

/// A request with the names as they have to be written.
const SPECIMEN: &[u8] =
    b"GET / HTTP/1.1\r\nX-RestSvcSessionId: -\r\nWWW-Authenticate: -\r\nX-XSS-Protection: -\r\n\
      Connection: close\r\n\r\n";

/// The extensions of a response whose header names are written in recorded letters.
pub(crate) async fn recorded() -> Extensions {
    let (mut near, far) = duplex(1024);
    // The buffer is larger than the specimen. An error would leave the names in title case, which
    // a test notices.
    let _ = near.write_all(SPECIMEN).await;
    let seen = Mutex::new(Extensions::new());
    let service = service_fn(async |request: Request<Incoming>| {
        if let Ok(mut seen) = seen.lock() {
            *seen = request.extensions().clone();
        }
        debug_assert!(request.body().is_end_stream());
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let served = http1::Builder::new()
        .preserve_header_case(true)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(far), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "header names are written in title case");
    }
    seen.into_inner().unwrap_or_default()
}
