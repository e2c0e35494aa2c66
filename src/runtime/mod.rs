//! General services for the process: worker threads, certificates, and the reloading of changed
//! files.

pub(crate) mod certificates;
pub(crate) mod deadline;
pub(crate) mod file;
pub(crate) mod pem;
pub(crate) mod readable;
pub(crate) mod reload;
pub(crate) mod text;
pub(crate) mod workers;
