//! What the gateway runs on: threads, and files that may change while it runs.

pub mod certificates;
pub mod reload;
pub mod workers;
