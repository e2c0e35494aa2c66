//! `check --report`: what this Enterprise Manager does at the points where nobody has been seen
//! writing down what it does, in a form that gives nothing away.
//!
//! Markdown, since whoever sends it has to be able to read it first; one line per question, so that a
//! program can read it too.

mod evidence;
mod gather;
mod probes;
mod safe;

use std::{fmt::Write as _, fs::File, io, io::Write as _, time::Duration};

use crate::{enterprise_manager::EnterpriseManager, settings::EnterpriseManagerSettings};
use evidence::Evidence;
pub(super) use gather::Open;
use gather::gather;
use probes::{PROBES, Probe};
use safe::Safe;

/// Of the form below. One more when its columns change; questions come and go.
const FORMAT: u32 = 1;

/// What a question has been answered with.
struct Finding {
    seen: Safe,
    holds: Holds,
}

/// Whether what is assumed holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    /// Nothing was seen that would tell.
    NotSeen,
}

/// How many questions were answered, and how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// What is assumed holds.
    pub(super) hold: usize,
    /// It does not.
    pub(super) fail: usize,
    /// Nothing was seen that would tell.
    pub(super) not_seen: usize,
}

/// The questions: id, question, what the gateway assumes.
pub fn questions() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let all = PROBES.iter().flat_map(|probes| probes.iter());
    all.map(|probe| (probe.id, probe.question, probe.assumed))
}

/// Asks Enterprise Manager, reads only, and writes what was seen.
///
/// # Errors
///
/// When the file cannot be written.
pub(super) async fn report(
    enterprise_manager: &EnterpriseManager,
    settings: &EnterpriseManagerSettings,
    longest: Duration,
    open: &Open,
    mut file: File,
) -> io::Result<Counts> {
    let evidence = gather(enterprise_manager, settings, longest, open).await;
    let (text, counts) = written(&evidence);
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    file.write_all(text.as_bytes())?;
    Ok(counts)
}

fn written(evidence: &Evidence) -> (String, Counts) {
    let mut text = format!(
        "# What an Enterprise Manager does: report, format {FORMAT}\n\n\
         Written by `replica-session-gateway {} check --report`. Every text in here is one of the \
         program's own; of Enterprise Manager there are numbers, known words, and times with a 9 for each \
         digit. No name, host, id, token or password.\n\n\
         | id | question | assumed | seen | holds |\n| --- | --- | --- | --- | --- |\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut counts = Counts::default();
    for Probe {
        id,
        question,
        assumed,
        look,
    } in PROBES.iter().flat_map(|probes| probes.iter())
    {
        let finding = look(evidence);
        let finding = finding.unwrap_or(Finding {
            seen: Safe::word("–"),
            holds: Holds::NotSeen,
        });
        let (holds, count) = match finding.holds {
            Holds::Yes => ("yes", &mut counts.hold),
            Holds::No => ("NO", &mut counts.fail),
            Holds::NotSeen => ("not seen", &mut counts.not_seen),
        };
        *count += 1;
        let seen = finding.seen;
        row(
            &mut text,
            &[id, question, assumed, &seen.to_string(), holds],
        );
    }
    text.push_str(
        "\n| request | status | type | root | bytes | ms |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for seen in &evidence.all {
        let number = |number: u128| Safe::number(u64::try_from(number).unwrap_or(u64::MAX));
        let cells = [
            Safe::word(seen.ask.name()),
            Safe::number(seen.answer.status.into()),
            probes::media_type(seen),
            probes::root(seen),
            number(seen.answer.body.len() as u128),
            number(seen.took.as_millis()),
        ];
        let cells = cells.map(|cell| cell.to_string());
        row(&mut text, &cells.each_ref().map(String::as_str));
    }
    (text, counts)
}

fn row(text: &mut String, cells: &[&str]) {
    writeln!(text, "| {} |", cells.join(" | ")).expect("a String takes everything");
}
