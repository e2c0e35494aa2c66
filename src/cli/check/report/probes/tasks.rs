//! Questions about what the tasks of sessions say.

use super::{
    Probe, found,
    values::{RESULTS, known_only, share, text, words},
};
use crate::cli::check::{
    outline::{Element, child},
    report::safe::Safe,
};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "task-states",
        question: "In which states are tasks?",
        assumed: "known ones",
        look: |evidence| {
            let known = &["Pending", "InProgress", "Completed"];
            known_only(words(&evidence.tasks(), "State", known)?)
        },
    },
    Probe {
        id: "task-results",
        question: "Which results do tasks have?",
        assumed: "known ones",
        look: |evidence| known_only(words(&evidence.tasks(), "Result", RESULTS)?),
    },
    Probe {
        id: "task-result-early",
        question: "Which results do tasks have that are not over?",
        assumed: "any; it is not believed",
        look: |evidence| {
            let tasks = evidence.tasks();
            let early = tasks
                .into_iter()
                .filter(|task| text(task, "State") != Some("Completed"));
            let early: Vec<_> = early.collect();
            found(Safe::counted(words(&early, "Result", RESULTS)?), true)
        },
    },
    Probe {
        id: "task-reason",
        question: "How many failed tasks have a Reason with text?",
        assumed: "all",
        look: |evidence| {
            let tasks = evidence.tasks();
            let failed = tasks
                .into_iter()
                .filter(|task| text(task, "Result") == Some("Failed"));
            let failed: Vec<_> = failed.collect();
            let has =
                |task: &&&[Element]| text(task, "Reason").is_some_and(|text| !text.is_empty());
            let with = failed.iter().filter(has).count();
            (!failed.is_empty()).then_some(())?;
            share((with as u64, failed.len() as u64), with == failed.len())
        },
    },
    Probe {
        id: "task-vm",
        question: "How many tasks have VmDisplayName, and VmUid?",
        assumed: "VmDisplayName all, VmUid any number",
        look: |evidence| {
            let tasks = evidence.tasks();
            let has = |name: &str| {
                let mut tasks = tasks.iter().filter(|task| {
                    task[0].attribute(name).is_some() || child(task, name).is_some()
                });
                tasks.by_ref().count() as u64
            };
            (!tasks.is_empty()).then_some(())?;
            let of = tasks.len() as u64;
            let named = has("VmDisplayName");
            let told = [named, has("VmUid")].map(Safe::number);
            let told = told.into_iter().chain([Safe::number(of).named("of")]);
            found(Safe::list(told), named == of)
        },
    },
];
