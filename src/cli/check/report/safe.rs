//! What may be written into a report, and so be sent to strangers: words of this program, numbers,
//! and the shape of times. There is no way from a text of Enterprise Manager into it.

use std::{borrow::Cow, fmt};

/// Longest time that has a shape, in bytes.
const LONGEST_TIME: usize = 40;

/// A text that gives nothing away. Its only sources are the functions below: texts of this program,
/// numbers, and times with a 9 for each digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Safe(Cow<'static, str>);

impl Safe {
    /// A word of this program's.
    pub(super) const fn word(word: &'static str) -> Self {
        Self(Cow::Borrowed(word))
    }

    /// A number.
    pub(super) fn number(number: u64) -> Self {
        Self(Cow::Owned(number.to_string()))
    }

    /// `yes` or `no`.
    pub(super) const fn yes(is_so: bool) -> Self {
        Self::word(if is_so { "yes" } else { "no" })
    }

    /// The known word that `text` is, whatever its letter case; else `another`.
    pub(super) fn one_of(text: &str, known: &[&'static str]) -> Self {
        let text = text.trim();
        let known = known.iter().find(|word| word.eq_ignore_ascii_case(text));
        Self::word(known.copied().unwrap_or("another"))
    }

    /// The shape of a time: a 9 for each digit. Anything that holds more than digits and what stands
    /// between those of a time is `another form`.
    pub(super) fn time(text: &str) -> Self {
        let is_of_time = |c: char| c.is_ascii_digit() || "TZ:.+- ".contains(c);
        if text.is_empty() || text.len() > LONGEST_TIME || !text.chars().all(is_of_time) {
            return Self::word("another form");
        }
        let shape = text
            .chars()
            .map(|c| if c.is_ascii_digit() { '9' } else { c });
        Self(Cow::Owned(shape.collect()))
    }

    /// This with a name for it in front.
    pub(super) fn named(self, name: &'static str) -> Self {
        Self(Cow::Owned(format!("{name} {self}")))
    }

    /// All of these in their order; `none` for none.
    pub(super) fn list(all: impl IntoIterator<Item = Self>) -> Self {
        let all: Vec<_> = all.into_iter().map(|safe| safe.to_string()).collect();
        if all.is_empty() {
            return Self::word("none");
        }
        Self(Cow::Owned(all.join("; ")))
    }

    /// The different ones of these, sorted, each with how often it is there.
    pub(super) fn counted(all: impl IntoIterator<Item = Self>) -> Self {
        let mut counts = std::collections::BTreeMap::new();
        for safe in all {
            *counts.entry(safe).or_insert(0_u64) += 1;
        }
        let counted = counts.into_iter();
        Self::list(counted.map(|(safe, count)| Self(Cow::Owned(format!("{safe} ×{count}")))))
    }
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_foreign_text_comes_through() {
        for text in [
            "Fileserver02",
            "em01.tech.local",
            "2025-01-01T00:00:00Z x",
            "",
        ] {
            assert_eq!(Safe::time(text), Safe::word("another form"), "{text}");
            assert_eq!(Safe::one_of(text, &["Stopped"]), Safe::word("another"));
        }
        assert_eq!(
            Safe::time("2025-10-07T20:03:56.477Z").to_string(),
            "9999-99-99T99:99:99.999Z"
        );
        assert_eq!(
            Safe::one_of(" stopped", &["Stopped"]).to_string(),
            "Stopped"
        );
    }
}
