//! The options that `list`, `tasks` and `follow` have in common: which sessions or tasks, and which page of them.

use clap::Args;
use jiff::Timestamp;

use super::parse::{backup_server_id, job_id, name, page_size, point_in_time, result, state};
use crate::{
    cli::terminal::wrapped,
    proto::time::to_protobuf,
    proto::v1::{
        ReplicaSessionFilter, ReplicaSessionOrder, TimeRange,
        replica_session::{Result as RunResult, State},
    },
};

/// Which of them to print. Each option that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct FilterOptions {
    /// Only those of this job: a UUID or urn:veeam:Job:<UUID>
    #[arg(long, value_name = "ID", value_parser = job_id)]
    pub job: Option<String>,

    /// Only those of the job with this name
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub job_name: Option<String>,

    /// Only those of this backup server: a UUID or urn:veeam:BackupServer:<UUID>
    #[arg(long, value_name = "ID", value_parser = backup_server_id)]
    pub backup_server: Option<String>,

    /// Only those of the backup server with this name
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub backup_server_name: Option<String>,

    /// Only those with one of these results: none, success, warning, failed
    #[arg(long, value_name = "RESULT", value_delimiter = ',', value_parser = result)]
    pub result: Vec<RunResult>,

    /// The same as --result failed
    #[arg(long, conflicts_with = "result")]
    pub failed: bool,

    /// Only those created at or after this time: 2025-10-07T20:00:00Z, 2025-10-07 (UTC), 24h or 7d for
    /// that long ago, today, or yesterday
    #[arg(long, visible_alias = "since", value_name = "TIME", value_parser = point_in_time)]
    pub created_from: Option<Timestamp>,

    /// Only those created before this time
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub created_before: Option<Timestamp>,

    /// Only those that ended at or after this time
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub ended_from: Option<Timestamp>,

    /// Only those that ended before this time
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    pub ended_before: Option<Timestamp>,
}

impl FilterOptions {
    /// The results as the contract has them.
    pub(super) fn results(&self) -> Vec<i32> {
        let failed = self.failed.then_some(RunResult::Failed);
        self.result.iter().copied().chain(failed).map(Into::into).collect()
    }

    /// The times of creation.
    pub(super) fn created(&self) -> Option<TimeRange> {
        range(self.created_from, self.created_before)
    }

    /// The times of the end.
    pub(super) fn ended(&self) -> Option<TimeRange> {
        range(self.ended_from, self.ended_before)
    }
}

/// Which sessions. Each option that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct SessionFilterOptions {
    /// What sessions have in common with tasks.
    #[command(flatten)]
    pub common: FilterOptions,

    /// Only sessions in one of these states: starting, working, pausing, resuming, stopping, stopped, idle,
    /// postprocessing, pending, waiting-repository, waiting-slot, waiting-tape, action-required
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    pub state: Vec<State>,

    /// Only retries of failed runs (true), or only other runs (false)
    #[arg(long, value_name = "true|false")]
    pub retry: Option<bool>,
}

impl SessionFilterOptions {
    /// The filter as the contract has it.
    pub(super) fn filter(&self) -> ReplicaSessionFilter {
        let FilterOptions { job, job_name, backup_server, backup_server_name, .. } = &self.common;
        ReplicaSessionFilter {
            job_id: text(job.as_ref()),
            job_name: text(job_name.as_ref()),
            backup_server_id: text(backup_server.as_ref()),
            backup_server_name: text(backup_server_name.as_ref()),
            states: self.state.iter().map(|state| (*state).into()).collect(),
            results: self.common.results(),
            is_retry: self.retry,
            create_time: self.common.created(),
            end_time: self.common.ended(),
            session_ids: Vec::new(),
        }
    }
}

/// In which order, and which page.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct PageOptions {
    /// Print the earliest first
    #[arg(long)]
    pub oldest_first: bool,

    /// How many to read with one request, at most 1000 [default: 100]
    #[arg(long, value_name = "N", value_parser = page_size)]
    pub page_size: Option<i32>,

    /// Continue after a previous page, with the token that was printed below it
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,

    /// Print all pages instead of one
    #[arg(long)]
    pub all: bool,
}

impl PageOptions {
    /// The order as the contract has it.
    pub(super) fn order(&self) -> ReplicaSessionOrder {
        if self.oldest_first {
            ReplicaSessionOrder::OldestFirst
        } else {
            ReplicaSessionOrder::NewestFirst
        }
    }
}

/// What an option that is not given is in the contract.
pub(super) fn text(option: Option<&String>) -> String {
    option.cloned().unwrap_or_default()
}

/// How to get what follows a page, if anything does.
pub(super) fn more(next_page_token: &str, width: Option<usize>) -> String {
    if next_page_token.is_empty() {
        return String::new();
    }
    wrapped(&format!("\nmore with --all, or --page-token {next_page_token}\n"), 2, width)
}

fn range(from: Option<Timestamp>, before: Option<Timestamp>) -> Option<TimeRange> {
    (from.is_some() || before.is_some())
        .then(|| TimeRange { start_time: from.map(to_protobuf), end_time: before.map(to_protobuf) })
}
