//! A gRPC gateway to the replica job sessions of Veeam Backup Enterprise Manager.
//!
//! `ARCHITECTURE.md` follows one request through these modules.

pub mod cli;
pub mod enterprise_manager;
mod following;
pub mod gateway;
mod listener;
mod operations;
pub mod proto;
mod runtime;
pub mod serve;
pub mod settings;
mod sharing;
mod watching;
