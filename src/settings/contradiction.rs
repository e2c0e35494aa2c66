//! Settings that are valid each for itself, and contradict each other.

use std::time::Duration;

use super::{SettingError, SettingsInEffect};

/// An option and its value.
pub(super) type Given = (&'static str, Duration);

/// Checks that the first time is not longer than the second.
///
/// # Errors
///
/// Names both, and says which of them nobody has set.
pub(super) fn not_longer(
    shorter: Given,
    longer: Given,
    in_effect: &SettingsInEffect,
) -> Result<(), SettingError> {
    if shorter.1 <= longer.1 {
        return Ok(());
    }
    // The error begins with an option that was set: one of them was, since the defaults agree.
    let (set, is, other) = if in_effect.is_default(shorter.0) {
        (longer.0, "shorter", shorter.0)
    } else {
        (shorter.0, "longer", longer.0)
    };
    let default = if in_effect.is_default(other) { " by default" } else { "" };
    let [value, limit] = [set, other].map(|option| in_effect.of_option(option));
    Err(SettingError::new(
        set,
        format!("{value} is {is} than {other}, which is {limit}{default}: change one of them"),
    ))
}
