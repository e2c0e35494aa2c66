//! How long the read of a watched session may take.
//!
//! Apart from a call's deadline, since time that a poll waits for its permit is not time in which
//! Enterprise Manager (EM) does not answer: many polls may queue, and a batch that fails sends its polls
//! back into the queue.

use std::{future::Future, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::enterprise_manager::{Deadline, Error};

/// The time limits of one read, and which of them runs.
#[derive(Debug)]
pub(crate) struct ReadTimeouts {
    /// Whether the caller itself stops waiting at the limit.
    is_call: bool,
    /// For each wait for a permit; `None` if `read` includes it.
    queue: Option<Duration>,
    read: Duration,
    limit: watch::Sender<Limit>,
}

/// The limit that runs.
#[derive(Debug, Clone, Copy)]
struct Limit {
    until: Instant,
    /// Whether the read waits for a permit, and not for EM.
    is_queued: bool,
}

impl ReadTimeouts {
    /// So long, from now on, with all waits for a permit.
    pub(crate) fn in_all(read: Duration) -> Self {
        Self::new(None, read)
    }

    /// `queue` for each wait for a permit, which begins now, and `read` for each answer of EM.
    pub(crate) fn renewed(queue: Duration, read: Duration) -> Self {
        Self::new(Some(queue), read)
    }

    /// That of a call until its deadline. It is never exhausted: an error at that very moment would be told instead of
    /// the deadline.
    pub(super) fn of_call(deadline: Instant) -> Self {
        let read = deadline.saturating_duration_since(Instant::now());
        Self { is_call: true, ..Self::new(None, read) }
    }

    fn new(queue: Option<Duration>, read: Duration) -> Self {
        let until = Instant::now() + queue.unwrap_or(read);
        let limit = watch::Sender::new(Limit { until, is_queued: queue.is_some() });
        Self { is_call: false, queue, read, limit }
    }

    /// What the read returns, or the error that the end of a limit is.
    pub(super) async fn limit<T>(
        &self,
        read: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            result = read => result,
            error = self.exhausted() => Err(error),
        }
    }

    /// The read waits for a permit again.
    pub(super) fn is_queued(&self) {
        if let Some(queue) = self.queue {
            self.limit.send_replace(Limit { until: Instant::now() + queue, is_queued: true });
        }
    }

    /// The read has got its turn at this time.
    pub(super) fn has_turn(&self, at: Instant) {
        if self.queue.is_some() {
            self.limit.send_replace(Limit { until: at + self.read, is_queued: false });
        }
    }

    /// When the current limit ends.
    pub(super) fn until(&self) -> Instant {
        self.limit.borrow().until
    }

    /// The deadline of a read that waits for its turn.
    pub(super) fn deadline(&self) -> Deadline {
        match self.queue {
            Some(_) => Deadline::After(self.read),
            None => Deadline::At(self.until()),
        }
    }

    /// Returns at the end of a limit, with the error that this is.
    async fn exhausted(&self) -> Error {
        if self.is_call {
            return std::future::pending().await;
        }
        let mut limit = self.limit.subscribe();
        loop {
            let Limit { until, is_queued } = *limit.borrow_and_update();
            if timeout_at(until, limit.changed()).await.is_ok() {
                continue;
            }
            let why = match self.queue {
                Some(queue) if is_queued => {
                    format!(
                        "too many sessions are watched, so the poll did not start within {queue:?}"
                    )
                }
                _ => "the time limit of the read has passed".to_owned(),
            };
            return Error::Disconnected { why };
        }
    }
}
