//! A gRPC gateway to the replica job sessions of Veeam Backup Enterprise Manager.
//!
//! `ARCHITECTURE.md` walks one request through these rooms.

pub mod admin;
pub mod caller;
pub mod certificates;
pub mod check;
pub mod codec;
mod codes;
#[cfg(feature = "simulator")]
pub mod demo;
pub mod enterprise_manager;
pub mod gateway;
pub mod health;
pub mod listener;
pub mod metrics;
pub mod proto;
pub mod reload;
pub mod serve;
pub mod settings;
pub mod sharing;
#[cfg(feature = "simulator")]
pub mod simulate;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod status;
pub mod telemetry;
pub mod traces;
pub mod watching;
pub mod workers;
