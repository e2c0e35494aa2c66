//! What operators see of the gateway: its admin listener, log, metrics, health and traces.

pub mod admin;
pub mod health;
pub mod log;
pub mod metrics;
pub mod status;
pub mod traces;
