//! Everything for operators: log, metrics, traces, and the admin listener that serves `/metrics`,
//! `/status`, `/livez` and `/readyz`. `serve` composes the contents of `/status`.

pub(crate) mod admin;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod repeats;
pub(crate) mod traces;
