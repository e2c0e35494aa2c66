//! General services for the process: worker threads, certificates, and the reloading of changed
//! files.

pub mod certificates;
pub mod reload;
pub mod workers;
