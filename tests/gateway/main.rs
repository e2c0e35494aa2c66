//! The gateway over real sockets, with a simulated Enterprise Manager behind it.

#![expect(clippy::unwrap_used, reason = "in a test, a failing unwrap is a failing test")]

mod answers;
mod attacks;
mod batches;
mod beyond_filter;
mod by_ids;
mod callers;
mod certificates;
#[allow(dead_code, reason = "shared with other tests")]
mod collector;
mod connections;
mod deadlines;
mod discovery;
mod drain;
mod failures;
mod fairness;
mod filters;
mod follow;
mod follow_limits;
mod follow_query;
mod follow_return;
mod follow_silence;
mod follow_support;
mod follow_unreadable;
mod followed_sessions;
mod heartbeats;
mod hostile_upstream;
mod identity;
mod listening;
mod listing;
mod logon;
mod lost_connections;
mod other_calls;
mod outage;
mod overload;
mod probes;
mod protocol;
mod request_ids;
mod reread;
mod resume;
mod retries;
mod retry_signals;
mod rotation;
mod sharing;
mod support;
mod task_lists;
mod tasks;
mod tls_failures;
mod tls_servers;
mod traces;
mod trust;
mod unknown;
mod watch;
mod watch_batches;
mod watchers;
