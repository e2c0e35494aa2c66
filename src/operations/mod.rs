//! What operators see of the gateway: log, metrics, traces, and the admin listener that serves
//! `/metrics`, `/status`, `/livez` and `/readyz`. What `/status` says is composed in `serve`.

pub mod admin;
pub mod log;
pub mod metrics;
pub mod traces;
