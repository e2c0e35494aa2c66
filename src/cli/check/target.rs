//! The target of a check: an Enterprise Manager, its settings, and the time limit of a step. It has a
//! separate file because both `steps` and `report` need it, and `steps` uses `report`.

use std::time::Duration;

use crate::{enterprise_manager::EnterpriseManager, settings::EnterpriseManagerSettings};

/// The target of a check.
#[derive(Clone, Copy)]
pub(super) struct Target<'t> {
    pub(super) enterprise_manager: &'t EnterpriseManager,
    pub(super) settings: &'t EnterpriseManagerSettings,
    /// The time limit of each step, and of each request of a report.
    pub(super) time_limit: Duration,
    /// The deadline of a call without one.
    pub(super) default_deadline: Duration,
}
