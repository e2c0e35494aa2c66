//! What `check` prints: a line for each step for people, or one JSON object for programs.

use serde::Serialize;

use super::problem::Problem;
use crate::cli::{self, ExitCode, terminal};

/// The result of a step that succeeded.
pub(super) struct Success<T> {
    /// What later steps need.
    pub(super) value: T,
    /// For people to read.
    pub(super) text: String,
    /// What needs attention, although the step succeeded.
    pub(super) remedy: Option<String>,
}

impl<T> Success<T> {
    /// A step succeeded.
    pub(super) fn new(value: T, text: impl Into<String>) -> Self {
        Self { value, text: text.into(), remedy: None }
    }

    /// The step succeeded, but something needs attention.
    pub(super) fn but(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok,
    /// It succeeded, but something needs attention.
    Odd,
    Failed,
    NotDone,
}

/// A step that has ended. The order of the fields is that of the JSON.
#[derive(Debug, Serialize)]
struct Step {
    outcome: Outcome,
    remedy: Option<String>,
    #[serde(rename = "step")]
    name: &'static str,
    #[serde(rename = "told")]
    text: String,
}

#[derive(Debug, Serialize)]
struct Summary {
    exit_code: ExitCode,
    steps: Vec<Step>,
}

/// Prints steps, and remembers the exit code.
pub(super) struct Output {
    as_json: bool,
    summary: Summary,
}

impl Output {
    /// Prints at the end if `as_json` is set, otherwise after each step.
    pub(super) fn new(as_json: bool) -> Self {
        let summary = Summary { exit_code: ExitCode::SUCCESS, steps: Vec::new() };
        Self { as_json, summary }
    }

    /// A step succeeded. Returns what it found.
    pub(super) fn succeeded<T>(&mut self, step: &'static str, success: Success<T>) -> T {
        let outcome = match success.remedy {
            Some(_) => Outcome::Odd,
            None => Outcome::Ok,
        };
        self.print(step, outcome, success.text, success.remedy);
        success.value
    }

    /// A step without a result succeeded.
    pub(super) fn ok(&mut self, step: &'static str, text: impl Into<String>) {
        self.succeeded(step, Success::new((), text));
    }

    /// A step failed. The first one to fail sets the exit code.
    pub(super) fn failed(&mut self, step: &'static str, problem: Problem) {
        if self.summary.exit_code == ExitCode::SUCCESS {
            self.summary.exit_code = problem.exit_code;
        }
        self.print(step, Outcome::Failed, problem.text, Some(problem.remedy));
    }

    /// A step was not done.
    pub(super) fn not_done(&mut self, step: &'static str, why: &str) {
        self.print(step, Outcome::NotDone, why.to_owned(), None);
    }

    /// Prints those of these steps that have not ended as not done, and returns the exit code.
    pub(super) fn finish(mut self, steps: &[&'static str]) -> ExitCode {
        for name in steps {
            if !self.summary.steps.iter().any(|step| step.name == *name) {
                self.not_done(name, "not done");
            }
        }
        if self.as_json {
            let json = serde_json::to_string_pretty(&self.summary);
            let json = json.expect("strings and numbers are JSON");
            cli::print(&(json + "\n"));
        }
        self.summary.exit_code
    }

    fn print(
        &mut self,
        step: &'static str,
        outcome: Outcome,
        text: String,
        remedy: Option<String>,
    ) {
        if !self.as_json {
            let mark = match outcome {
                Outcome::Ok => '✓',
                Outcome::Odd => '!',
                Outcome::Failed => '✗',
                Outcome::NotDone => '–',
            };
            let arrow = if remedy.is_some() { " → " } else { "" };
            let remedy = remedy.as_deref().unwrap_or_default();
            let line = format!("{mark} {step:<10}{text}{arrow}{remedy}\n");
            cli::print(&terminal::wrapped(&line, 12, terminal::width()));
        }
        self.summary.steps.push(Step { outcome, remedy, name: step, text });
    }
}
