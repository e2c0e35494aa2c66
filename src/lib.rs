//! A gRPC gateway to the replica job sessions of Veeam Backup Enterprise Manager.
//!
//! `ARCHITECTURE.md` follows one request through these modules.

pub mod cli;
pub mod enterprise_manager;
pub mod gateway;
pub mod listener;
pub mod operations;
pub mod proto;
pub mod runtime;
pub mod serve;
pub mod settings;
pub mod sharing;
pub mod watching;
