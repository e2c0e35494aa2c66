//! The program as operators, containers and scrapers use it.

#![expect(clippy::unwrap_used, reason = "in a test, a failing unwrap is a failing test")]

#[allow(dead_code, reason = "shared with the tests of the gateway")]
#[path = "../gateway/certificates.rs"]
mod certificates;
mod check;
mod check_queries;
#[allow(dead_code, reason = "shared with the tests of the gateway")]
#[path = "../gateway/collector.rs"]
mod collector;
mod documents;
#[allow(dead_code, reason = "shared with the tests of the gateway")]
#[path = "../gateway/followed_sessions.rs"]
mod followed_sessions;
mod health;
mod log;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "../cli/program.rs"]
mod program;
mod reload;
mod report;
mod status;
mod support;
mod tls_failures;
#[allow(dead_code, reason = "shared with the tests of the gateway")]
#[path = "../gateway/tls_servers.rs"]
mod tls_servers;
mod traces;
mod unseen;
mod waiting;
