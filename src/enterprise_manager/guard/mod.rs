//! Protects Enterprise Manager from the gateway, and callers from an Enterprise Manager that fails.
//!
//! EM is a management server: a handful of parallel requests is what it takes well, and it names no
//! limit. A read passes these guards in this order:
//!
//! 1. [`ConcurrencyLimit`]: a read waits for a permit, so that EM never has more requests than
//!    the setting allows.
//! 2. [`CircuitBreaker`]: a request fails at once while no connection can be established.
//! 3. [`StallDetector`]: a request that EM has dropped ends when later ones have been answered.
//! 4. [`RetryBudget`]: a failed read is tried again, but not so often that retries become the load.
//! 5. [`UpstreamHealth`]: records how reads end, for health checks and `/status`.
//!
//! tower has layers for the limit, the retries and their budget. They are not used because the guards
//! depend on what tower's traits hide: the kind of a request, what EM's error means, and a deadline
//! that moves while a read is under way ([`ReadContext`]).

mod circuit_breaker;
mod concurrency_limit;
mod health;
mod read_context;
mod request_kind;
mod retry;
mod stall;

pub(crate) use circuit_breaker::CircuitBreaker;
pub(crate) use concurrency_limit::ConcurrencyLimit;
pub use health::{LATELY, LastFailure, UpstreamHealth, UpstreamStatus};
pub use read_context::ReadContext;
pub(crate) use request_kind::RequestKind;
pub(crate) use retry::RetryBudget;
pub(crate) use stall::StallDetector;
