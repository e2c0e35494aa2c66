//! What the process needs at run time, whatever it serves: worker threads, certificates, and files
//! that are reloaded when they change.

pub mod certificates;
pub mod reload;
pub mod workers;
