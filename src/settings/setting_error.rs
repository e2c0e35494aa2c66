//! Why a setting cannot be used.

/// A setting that cannot be used: one sentence that names the option and the problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {problem}")]
pub struct SettingError {
    option: &'static str,
    problem: String,
}

impl SettingError {
    /// The problem with an option, worded to follow its name.
    pub fn new(option: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { option, problem }
    }
}
