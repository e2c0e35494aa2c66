//! What the process takes of its machine, under the names that all Prometheus clients use.
//!
//! Read from `/proc` at each scrape with `procfs`, which knows the formats, the units and the fast
//! way to count open files. Its optional features (`chrono`, `flate2`) are off, so that it brings
//! two crates: itself and its parsers. `kubert-prometheus-process` would do the same, but needs an
//! older `prometheus-client`. Where `/proc` cannot be read, these metrics are missing.

use std::{fmt, time::Duration};

use procfs::{WithCurrentSystemInfo as _, process};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// Reads `/proc/self`.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Ok(process) = process::Process::myself() else {
            return Ok(());
        };
        let mut register = |name, help, metric: &dyn EncodeMetric| {
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor(name, help, None, kind)?)
        };
        if let Ok(stat) = process.stat() {
            let cpu_time = time_of_ticks(stat.utime + stat.stime);
            register(
                "process_cpu_seconds",
                "CPU time used by the process",
                &ConstCounter::new(cpu_time.as_secs_f64()),
            )?;
            if let Ok(boot_time) = procfs::boot_time_secs() {
                let start = Duration::from_secs(boot_time) + time_of_ticks(stat.starttime);
                register(
                    "process_start_time_seconds",
                    "Start time of the process, in seconds since 1970",
                    &ConstGauge::new(start.as_secs_f64()),
                )?;
            }
            register(
                "process_resident_memory_bytes",
                "Resident memory of the process",
                &ConstGauge::new(stat.rss_bytes().get()),
            )?;
            register(
                "process_virtual_memory_bytes",
                "Virtual memory of the process",
                &ConstGauge::new(stat.vsize),
            )?;
            register(
                "process_threads",
                "Threads of the process",
                &ConstGauge::new(stat.num_threads),
            )?;
        }
        if let Ok(open) = process.fd_count() {
            register(
                "process_open_fds",
                "Open file descriptors of the process",
                // Without the one that this reads through.
                &ConstGauge::new(open.saturating_sub(1)),
            )?;
        }
        if let Ok(limits) = process.limits()
            && let process::LimitValue::Value(limit) = limits.max_open_files.soft_limit
        {
            register(
                "process_max_fds",
                "Maximum number of open file descriptors of the process",
                &ConstGauge::new(limit),
            )?;
        }
        Ok(())
    }
}

/// `/proc` counts time in these, 100 of them to the second.
fn time_of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / procfs::ticks_per_second())
}
