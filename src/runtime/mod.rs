//! General services for the process: worker threads, certificates, the reloading of changed files, and
//! what was built.

pub(crate) mod build;
pub(crate) mod certificates;
pub(crate) mod deadline;
pub(crate) mod file;
pub(crate) mod pem;
pub(crate) mod readable;
pub(crate) mod reload;
pub(crate) mod text;
pub(crate) mod workers;
