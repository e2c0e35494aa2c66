//! General services for the process: worker threads, certificates, and the reloading of changed
//! files.

pub mod certificates;
pub mod file;
pub mod pem;
pub mod reload;
pub mod text;
pub mod workers;
