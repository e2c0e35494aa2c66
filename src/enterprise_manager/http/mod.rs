//! HTTP exchanges with Enterprise Manager: one request, one bounded response.
//!
//! * `exchange.rs`: [`Http::exchange`] sends an [`Exchange`] and returns an [`EmResponse`], under
//!   the control of the circuit breaker and the stall detector. It counts and traces the request.
//! * `client.rs`: the pools of connections, one for each runtime, and their replacement when the
//!   trusted certificates change.
//! * `response.rs`, `classify.rs`, `failure_body.rs`, `foreign_body.rs`: a response, and what it means. `credential_echo.rs`
//!   keeps what a response repeats of the credentials out of the log.
//! * `connection_error.rs`, `tls_error.rs`: what it means that there is no response.
//! * `tls.rs`, `unusable_certificate.rs`: which certificates are trusted, and which TLS cannot use.
//! * `connect.rs`, `peer_certificate.rs`: single steps of a connection, for `check` and
//!   `em-certificate`.
//!
//! Nothing here knows about logon sessions or retries: a request contains its credential, and is
//! sent once.

mod classify;
mod client;
mod connect;
mod connection_error;
mod credential_echo;
mod exchange;
mod failure_body;
mod foreign_body;
mod peer_certificate;
mod response;
mod tls;
mod tls_error;
mod unusable_certificate;

pub(crate) use classify::{failure, readable_body, reported_failure, unreadable};
pub use connect::{Handshake, HandshakeError};
pub(crate) use connect::{resolve, shake_hands};
pub(crate) use credential_echo::{without_password, without_token};
pub(crate) use exchange::{Connection, Credential, Exchange, Http, SESSION_HEADER};
pub(crate) use foreign_body::{ForeignBody, foreign_body};
pub use peer_certificate::{PresentedCertificate, presented_certificate};
pub(crate) use response::EmResponse;
pub(crate) use tls_error::SPEAKS;
