//! Steps as they are shown: a line each for people, or one JSON object for programs.

use std::io::Write;

use serde_json::{Value, json};

use crate::cli::ExitCode;

/// Where steps are shown.
pub(super) struct Shown<'o, W> {
    out: &'o mut W,
    as_json: bool,
    /// Names of the steps that are done, and what a program is told of them.
    done: Vec<(&'static str, Value)>,
    exit_code: ExitCode,
}

impl<'o, W: Write> Shown<'o, W> {
    /// No step has been done.
    pub(super) fn new(out: &'o mut W, as_json: bool) -> Self {
        Self {
            out,
            as_json,
            done: Vec::new(),
            exit_code: ExitCode::SUCCESS,
        }
    }

    /// A step that went well.
    pub(super) fn good(&mut self, name: &'static str, told: &str) {
        self.show('✓', "ok", name, told, None);
    }

    /// A step that went well enough to go on, and what is odd about it.
    pub(super) fn odd(&mut self, name: &'static str, told: &str, remedy: &str) {
        self.show('!', "odd", name, told, Some(remedy));
    }

    /// A step that failed, and what to change.
    pub(super) fn bad(
        &mut self,
        name: &'static str,
        told: &str,
        remedy: &str,
        exit_code: ExitCode,
    ) {
        if self.exit_code == ExitCode::SUCCESS {
            self.exit_code = exit_code;
        }
        self.show('✗', "failed", name, told, Some(remedy));
    }

    /// A step that was not done, and why.
    pub(super) fn not_done(&mut self, name: &'static str, why: &str) {
        self.show('–', "not_done", name, why, None);
    }

    /// All is done; of these steps, those that have not been shown were not done. Returns the exit
    /// code.
    pub(super) fn end(mut self, names: &[&'static str]) -> ExitCode {
        for name in names {
            if !self.done.iter().any(|(done, _)| done == name) {
                self.not_done(name, "not done");
            }
        }
        if self.as_json {
            let steps: Vec<_> = self.done.into_iter().map(|(_, step)| step).collect();
            let told = json!({ "exit_code": self.exit_code, "steps": steps });
            // Nobody is left to be told when nobody reads.
            drop(writeln!(self.out, "{told:#}").and_then(|()| self.out.flush()));
        }
        self.exit_code
    }

    fn show(
        &mut self,
        mark: char,
        outcome: &str,
        name: &'static str,
        told: &str,
        remedy: Option<&str>,
    ) {
        if !self.as_json {
            let remedy = remedy.map_or_else(String::new, |remedy| format!(" → {remedy}"));
            let line = writeln!(self.out, "{mark} {name:<10}{told}{remedy}");
            drop(line.and_then(|()| self.out.flush()));
        }
        let step = json!({ "step": name, "outcome": outcome, "told": told, "remedy": remedy });
        self.done.push((name, step));
    }
}
