//! Metrics of watches, of single sessions and of those that match a filter.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{GaugeGuard, durations::Durations, labels::Labels};

outcomes! {
    /// What a follower is sent, without heartbeats.
    FollowEventKind:
    Change = "change", "What has happened to a session.";
    Skipped = "skipped", "The same, and states before it may not have been sent.";
    Current = "current", "Everything has been sent.";
    Outage = "outage", "Enterprise Manager gives no answer.";
    Missed = "missed", "Ends of sessions may be missing.";
}

outcomes! {
    /// How a look at the sessions of a filter ends.
    LookOutcome:
    Answered = "answered", "Enterprise Manager has answered.";
    Failed = "failed", "It gave no usable answer.";
    TooMany = "too_many", "More sessions match than can be followed, or were asked for at a time.";
}

metrics! {
    Series:
    watches: Gauge = "gateway_watches", "Open watches";
    sessions: Gauge = "gateway_watched_sessions",
        "Sessions that are polled because they are watched";
    followers: Gauge = "gateway_followers",
        "Open watches of the sessions that match a filter";
    filters: Gauge = "gateway_followed_filters",
        "Filters whose sessions are polled because they are followed";
    held: Gauge = "gateway_followed_sessions",
        "Sessions of all followed filters that are kept to find changes, also for a minute after the \
         last follower has left";
    unreadable: Gauge = "gateway_followed_sessions_unreadable",
        "Sessions of followed filters that Enterprise Manager lists and that cannot be read, so that \
         followers are told nothing of them";
    outages: Family<Labels<1>, Gauge> = "gateway_watch_outages",
        "Watched sessions (sessions) and followed filters (filters) whose last poll failed, so that \
         those who watch are told of an outage";
    looks: Family<Labels<1>, Counter> = "gateway_follow_looks",
        "Looks at the sessions of followed filters: answered, failed, or more sessions than can be \
         followed or were asked for (too_many)";
    look_seconds: Durations = "gateway_follow_look_seconds",
        "Time from when a look at the sessions of a followed filter was due to its end";
    split: Gauge = "gateway_follow_queries_split",
        "1 while each look at followed sessions takes two queries, because one fails";
    events: Counter = "gateway_watch_events", "Events sent to watches, without heartbeats";
    follow_events: Family<Labels<1>, Counter> = "gateway_follow_events",
        "The events among them that were sent to followers of a filter: changes of sessions (change), \
         those after states that may not have been sent (skipped), that all is sent (current), that \
         Enterprise Manager gives no answer (outage), that ends may be missing (missed)";
    heartbeats: Counter = "gateway_watch_heartbeats", "Heartbeats sent to watches";
}

/// Metrics of watches.
#[derive(Debug)]
pub(crate) struct WatchMetrics {
    series: Series,
    /// By number of the kind, so that counting needs no look-up by label.
    follow_events: [Counter; FollowEventKind::ALL.len()],
}

impl WatchMetrics {
    /// Every series exists from the start, at zero.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let series = Series::registered(registry);
        for of in ["sessions", "filters"] {
            drop(series.outages.get_or_create(&[("of", of)]));
        }
        for outcome in LookOutcome::ALL {
            drop(series.looks.get_or_create(&[("outcome", outcome.label())]));
        }
        let event = |number: usize| {
            let label = FollowEventKind::ALL[number].label();
            series.follow_events.get_or_create_owned(&[("event", label)])
        };
        Self { follow_events: std::array::from_fn(event), series }
    }

    /// Counts a watch until the guard is dropped.
    pub(crate) fn watch(&self) -> GaugeGuard {
        GaugeGuard::new(&self.series.watches)
    }

    /// Counts the poller of a session until the guard is dropped.
    pub(crate) fn session(&self) -> GaugeGuard {
        GaugeGuard::new(&self.series.sessions)
    }

    /// Counts a filter that somebody follows until the guard is dropped.
    pub(crate) fn filter(&self) -> GaugeGuard {
        GaugeGuard::new(&self.series.filters)
    }

    /// Counts a follower until the guard is dropped.
    pub(crate) fn follower(&self) -> GaugeGuard {
        GaugeGuard::new(&self.series.followers)
    }

    /// Adds the sessions that a poller keeps, none at first, until the guard is dropped.
    pub(crate) fn held_sessions(&self) -> GaugeGuard {
        GaugeGuard::of_nothing(&self.series.held)
    }

    /// Adds the sessions that a poller cannot read, none at first, until the guard is dropped.
    pub(crate) fn unreadable_sessions(&self) -> GaugeGuard {
        GaugeGuard::of_nothing(&self.series.unreadable)
    }

    /// Adds 1 while a poller of a session sets it, until the guard is dropped.
    pub(crate) fn session_outage(&self) -> GaugeGuard {
        GaugeGuard::of_nothing(&self.series.outages.get_or_create_owned(&[("of", "sessions")]))
    }

    /// The same for the poller of a filter.
    pub(crate) fn filter_outage(&self) -> GaugeGuard {
        GaugeGuard::of_nothing(&self.series.outages.get_or_create_owned(&[("of", "filters")]))
    }

    /// Counts a look at the sessions of a filter, which took this long from when it was due.
    pub(crate) fn looked(&self, outcome: LookOutcome, took: Duration) {
        self.series.looks.get_or_create(&[("outcome", outcome.label())]).inc();
        self.series.look_seconds.observe(took);
    }

    /// Records whether each look at followed sessions takes two queries.
    pub(crate) fn queries_are_split(&self, are_split: bool) {
        self.series.split.set(i64::from(are_split));
    }

    /// Counts an event of a watch of one session.
    pub(crate) fn event(&self) {
        self.series.events.inc();
    }

    /// Counts an event of a follower.
    pub(crate) fn follow_event(&self, kind: FollowEventKind) {
        self.series.events.inc();
        self.follow_events[kind as usize].inc();
    }

    /// Counts a heartbeat.
    pub(crate) fn heartbeat(&self) {
        self.series.heartbeats.inc();
    }
}
