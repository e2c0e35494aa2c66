//! What operators see of the gateway: log, metrics, traces, health, and the admin listener that
//! serves `/metrics`, `/status`, `/livez` and `/readyz`.

pub mod admin;
pub mod health;
pub mod log;
pub mod metrics;
pub mod readiness;
pub mod status;
pub mod traces;
