//! What is checked: an Enterprise Manager, with the settings that name it and the time that a step may
//! take. A file of its own, since steps and report both need it and the report is a step.

use std::time::Duration;

use crate::{enterprise_manager::EnterpriseManager, settings::EnterpriseManagerSettings};

/// What is checked.
#[derive(Clone, Copy)]
pub(super) struct Target<'t> {
    pub(super) enterprise_manager: &'t EnterpriseManager,
    pub(super) settings: &'t EnterpriseManagerSettings,
    /// For each step, and each request of a report.
    pub(super) time_limit: Duration,
}
