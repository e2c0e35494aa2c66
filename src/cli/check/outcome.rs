//! How a step ends: with what it found, or with a trouble.

use super::trouble::Trouble;

/// What a step found.
pub(super) struct Good<T> {
    /// What later steps need of it.
    pub(super) value: T,
    /// What has been found.
    pub(super) told: String,
    /// What to look at, although it went well.
    pub(super) remedy: Option<String>,
}

/// How a step ends.
pub(super) type Outcome<T> = Result<Good<T>, Trouble>;

/// A step that went well.
#[expect(clippy::unnecessary_wraps, reason = "a step ends with it")]
pub(super) fn good<T>(value: T, told: impl Into<String>) -> Outcome<T> {
    Ok(Good {
        value,
        told: told.into(),
        remedy: None,
    })
}

/// One that went well enough to go on, with what to look at.
#[expect(clippy::unnecessary_wraps, reason = "a step ends with it")]
pub(super) fn odd(told: String, remedy: &str) -> Outcome<()> {
    Ok(Good {
        value: (),
        told,
        remedy: Some(remedy.to_owned()),
    })
}
