//! Protects Enterprise Manager from overload, and callers from an Enterprise Manager that fails.
//!
//! EM is a management server: it copes with a handful of parallel requests, and documents no limit.
//! These guards are around a read, the outermost first:
//!
//! 1. [`UpstreamHealth`]: records how reads end, for health checks and `/status`.
//! 2. [`RetryBudget`]: the gateway retries a failed read, but not so often that retries become the
//!    load.
//! 3. [`ConcurrencyLimit`]: each attempt waits for a permit, so that EM never has more requests than
//!    the setting allows, nobody more than its [`Share`] of them, and no caller more than others that
//!    want as many ([`WaitingCallers`]). While others wait, no permit is used for a read that has no time
//!    left for an answer ([`Load`] says how long that takes).
//! 4. [`CircuitBreaker`]: a request fails at once while no connection can be established.
//! 5. [`StallDetector`]: a request that EM has dropped ends once EM has answered later ones.
//!
//! The gateway does not use tower's layers for limits, retries and budgets, because the guards depend
//! on what tower's traits hide: the kind of a request, the meaning of EM's error, and a deadline that
//! moves while a read is under way ([`ReadContext`]).

mod circuit_breaker;
mod concurrency_limit;
mod health;
mod load;
mod permits;
mod read_context;
mod request_kind;
mod retry;
mod share;
mod stall;
mod waited;
mod waiting_callers;

pub(crate) use circuit_breaker::CircuitBreaker;
pub(crate) use concurrency_limit::{Arrival, ConcurrencyLimit, Permit};
pub use health::{LATELY, LastFailure, UpstreamHealth, UpstreamStatus};
pub use load::Load;
pub use read_context::ReadContext;
pub(crate) use request_kind::{LONGEST_LOGON, RequestKind};
pub(crate) use retry::RetryBudget;
pub use share::Share;
pub(crate) use stall::StallDetector;
pub use waited::Waited;
pub use waiting_callers::{CallerKey, WaitingCallers};
