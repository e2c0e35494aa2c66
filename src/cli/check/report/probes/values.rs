//! Questions about what sessions say.

use super::{Probe, found};
use crate::cli::check::{
    outline::{Element, child},
    report::{evidence::Evidence, safe::Safe},
};

const STATES: &[&str] = &[
    "Starting",
    "Working",
    "Pausing",
    "Resuming",
    "Stopping",
    "Stopped",
    "Idle",
    "Postprocessing",
    "Pending",
    "WaitingRepository",
    "WaitingSlot",
    "WaitingTape",
    "ActionRequired",
];

pub(super) const RESULTS: &[&str] = &["None", "Success", "Warning", "Failed", "empty"];

/// A text of a direct child; none where there is no such child.
pub(super) fn text<'e>(whole: &'e [Element], name: &str) -> Option<&'e str> {
    child(whole, name).map(|element| element.text.trim())
}

/// The values of an element of all these, as known words.
pub(super) fn words(all: &[&[Element]], name: &str, known: &[&'static str]) -> Option<Vec<Safe>> {
    let values = all.iter().filter_map(|whole| text(whole, name));
    let word = |value: &str| match value {
        "" => Safe::word("empty"),
        value => Safe::one_of(value, known),
    };
    let words: Vec<_> = values.map(word).collect();
    (!words.is_empty()).then_some(words)
}

fn is_over(session: &[Element]) -> bool {
    text(session, "State") == Some("Stopped")
}

pub(super) fn known_only(words: Vec<Safe>) -> Option<super::super::Finding> {
    let holds = !words.contains(&Safe::word("another"));
    found(Safe::counted(words), holds)
}

/// Of the sessions that are over, or are not: how many, and of how many something is so.
fn of_those(
    evidence: &Evidence,
    over: bool,
    is_so: impl Fn(&[Element]) -> bool,
) -> Option<(u64, u64)> {
    let sessions = evidence.sessions();
    let of = sessions
        .into_iter()
        .filter(|session| is_over(session) == over);
    let of: Vec<_> = of.collect();
    let so = of.iter().filter(|session| is_so(session)).count();
    (!of.is_empty()).then_some((so as u64, of.len() as u64))
}

pub(super) fn share((so, of): (u64, u64), holds: bool) -> Option<super::super::Finding> {
    let told = [Safe::number(so), Safe::number(of).named("of")];
    found(Safe::list(told), holds)
}

/// The times of sessions.
fn times(evidence: &Evidence) -> Option<Vec<String>> {
    let sessions = evidence.sessions();
    let names = ["CreationTimeUTC", "EndTimeUTC"];
    let times = sessions
        .iter()
        .flat_map(|session| names.into_iter().filter_map(|name| text(session, name)));
    let times: Vec<_> = times.map(str::to_owned).collect();
    (!times.is_empty()).then_some(times)
}

/// Digits of the fraction of a second.
fn digits(time: &str) -> usize {
    let fraction = time.split_once('.').map_or("", |(_, fraction)| fraction);
    fraction.chars().take_while(char::is_ascii_digit).count()
}

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "time-form",
        question: "Of which forms are the times of sessions?",
        assumed: "UTC with Z, and a fraction of 0 to 6 digits",
        look: |evidence| {
            let times = times(evidence)?;
            let holds = times
                .iter()
                .all(|time| time.ends_with('Z') && digits(time) <= 6);
            found(
                Safe::counted(times.iter().map(|time| Safe::time(time))),
                holds,
            )
        },
    },
    Probe {
        id: "time-digits",
        question: "How many digits has the most precise fraction of a second?",
        assumed: "3 (SQL Server) or 6 (PostgreSQL) at most",
        look: |evidence| {
            let most = times(evidence)?.iter().map(|time| digits(time)).max()?;
            found(Safe::number(most as u64), most <= 6)
        },
    },
    Probe {
        id: "time-zeros",
        question: "Do fractions of a second end in zeros?",
        assumed: "no",
        look: |evidence| {
            let ends =
                |time: &String| digits(time) > 0 && time.trim_end_matches('Z').ends_with('0');
            let do_end = times(evidence)?.iter().any(ends);
            found(Safe::yes(do_end), !do_end)
        },
    },
    Probe {
        id: "time-sentinel",
        question: "How many times are before 1980, and so stand for none?",
        assumed: "any number",
        look: |evidence| {
            let is_old = |time: &&String| time.get(..4).is_some_and(|year| year < "1980");
            let count = times(evidence)?.iter().filter(is_old).count();
            found(Safe::number(count as u64), true)
        },
    },
    Probe {
        id: "end-while-running",
        question: "How many sessions that are not over have an EndTimeUTC?",
        assumed: "none",
        look: |evidence| {
            let has_end = |session: &[Element]| child(session, "EndTimeUTC").is_some();
            let counts = of_those(evidence, false, has_end)?;
            share(counts, counts.0 == 0)
        },
    },
    Probe {
        id: "end-when-over",
        question: "How many sessions that are over have an EndTimeUTC?",
        assumed: "all",
        look: |evidence| {
            let has_end = |session: &[Element]| child(session, "EndTimeUTC").is_some();
            let counts = of_those(evidence, true, has_end)?;
            share(counts, counts.0 == counts.1)
        },
    },
    Probe {
        id: "end-before-start",
        question: "How many sessions end before they start?",
        assumed: "any number",
        look: |evidence| {
            let parse = |text: &str| text.parse::<jiff::Timestamp>().ok();
            let is_odd = |session: &[Element]| {
                let start = text(session, "CreationTimeUTC").and_then(parse);
                let end = text(session, "EndTimeUTC").and_then(parse);
                end.zip(start).is_some_and(|(end, start)| end < start)
            };
            share(of_those(evidence, true, is_odd)?, true)
        },
    },
    Probe {
        id: "name-suffix",
        question: "Of which forms is what follows the last @ of a session's name?",
        assumed: "9999-99-99 99:99:99 and a fraction of up to 6 digits",
        look: |evidence| {
            let suffixes = suffixes(evidence)?;
            let shapes: Vec<_> = suffixes
                .iter()
                .map(|(suffix, _)| Safe::time(suffix))
                .collect();
            let start = "9999-99-99 99:99:99";
            let is_good = |shape: &Safe| {
                let shape = shape.to_string();
                shape.strip_prefix(start).is_some_and(|rest| {
                    rest.is_empty() || (rest.starts_with('.') && rest.len() <= 7)
                })
            };
            let holds = shapes.iter().all(is_good);
            found(Safe::counted(shapes), holds)
        },
    },
    Probe {
        id: "name-is-utc",
        question: "How many names end in the CreationTimeUTC, to the second?",
        assumed: "all",
        look: |evidence| {
            let suffixes = suffixes(evidence)?;
            let is_same = |(suffix, created): &&(String, String)| {
                suffix.get(..19).map(|time| time.replace(' ', "T"))
                    == created.get(..19).map(str::to_owned)
            };
            let same = suffixes.iter().filter(is_same).count();
            share((same as u64, suffixes.len() as u64), same == suffixes.len())
        },
    },
    Probe {
        id: "states",
        question: "In which states are sessions?",
        assumed: "known ones",
        look: |evidence| known_only(words(&evidence.sessions(), "State", STATES)?),
    },
    Probe {
        id: "results",
        question: "Which results do sessions have?",
        assumed: "known ones",
        look: |evidence| known_only(words(&evidence.sessions(), "Result", RESULTS)?),
    },
    Probe {
        id: "result-while-running",
        question: "How many sessions that are not over have another result than None?",
        assumed: "any number",
        look: |evidence| {
            let is_other = |session: &[Element]| text(session, "Result") != Some("None");
            share(of_those(evidence, false, is_other)?, true)
        },
    },
    Probe {
        id: "result-when-over",
        question: "How many sessions that are over have the result None?",
        assumed: "any number",
        look: |evidence| {
            let is_none = |session: &[Element]| text(session, "Result") == Some("None");
            share(of_those(evidence, true, is_none)?, true)
        },
    },
    Probe {
        id: "job-types",
        question: "Of which job types are sessions?",
        assumed: "Replica",
        look: |evidence| {
            let known = &["Replica", "CdpReplica", "CloudReplica", "ReplicaV2"];
            known_only(words(&evidence.sessions(), "JobType", known)?)
        },
    },
    Probe {
        id: "failure-message",
        question: "How many failed sessions have a FailureMessage with text?",
        assumed: "any number",
        look: |evidence| {
            let sessions = evidence.sessions();
            let failed = |session: &&&[Element]| text(session, "Result") == Some("Failed");
            let failed: Vec<_> = sessions.iter().filter(failed).collect();
            let has = |session: &&&&[Element]| {
                text(session, "FailureMessage").is_some_and(|text| !text.is_empty())
            };
            let with = failed.iter().filter(has).count() as u64;
            (!failed.is_empty()).then_some(())?;
            share((with, failed.len() as u64), true)
        },
    },
    Probe {
        id: "progress",
        question: "How many sessions have a Progress that is no number from 0 to 100?",
        assumed: "none",
        look: |evidence| {
            let sessions = evidence.sessions();
            let is_odd = |session: &&&[Element]| {
                let number = text(session, "Progress").and_then(|text| text.parse::<u8>().ok());
                number.is_none_or(|number| number > 100)
            };
            let odd = sessions.iter().filter(is_odd).count() as u64;
            (!sessions.is_empty()).then_some(())?;
            share((odd, sessions.len() as u64), odd == 0)
        },
    },
    Probe {
        id: "progress-when-over",
        question: "How many sessions that are over have another Progress than 100?",
        assumed: "any number",
        look: |evidence| {
            let is_other = |session: &[Element]| text(session, "Progress") != Some("100");
            share(of_those(evidence, true, is_other)?, true)
        },
    },
    Probe {
        id: "is-retry",
        question: "How is IsRetry written?",
        assumed: "true or false, or 1 or 0",
        look: |evidence| {
            known_only(words(
                &evidence.sessions(),
                "IsRetry",
                &["true", "false", "1", "0"],
            )?)
        },
    },
];

/// What follows the last `@` of the names of sessions, and when those were created.
fn suffixes(evidence: &Evidence) -> Option<Vec<(String, String)>> {
    let sessions = evidence.sessions();
    let suffixes = sessions.iter().filter_map(|session| {
        let (_, suffix) = session[0].attribute("Name")?.rsplit_once('@')?;
        let created = text(session, "CreationTimeUTC")?;
        Some((suffix.to_owned(), created.to_owned()))
    });
    let suffixes: Vec<_> = suffixes.collect();
    (!suffixes.is_empty()).then_some(suffixes)
}
