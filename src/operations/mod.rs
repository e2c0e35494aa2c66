//! Everything for operators: log, metrics, traces, and the admin listener that serves `/metrics`,
//! `/status`, `/livez` and `/readyz`. `serve` composes the contents of `/status`.

pub mod admin;
pub mod log;
pub mod metrics;
pub mod traces;
