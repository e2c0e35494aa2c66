//! The resources that the process uses, with the names that all Prometheus clients use.
//!
//! They are read from `/proc` at each scrape with `procfs`, which knows the formats, the units and
//! the fast way to count open files. Its optional features (`chrono`, `flate2`) are off, so that it
//! adds only two crates: itself and its parsers. `kubert-prometheus-process` would do the same, but
//! needs an older `prometheus-client`. If `/proc` cannot be read, these metrics are missing.

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
        let Ok(process) = process::Process::myself() else { return Ok(()) };
        let mut register = |name, help, metric: &dyn EncodeMetric| {
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor(name, help, None, kind)?)
        };
        let stat = process.stat();
        if let Ok(stat) = &stat {
            let cpu = ConstCounter::new(time_of_ticks(stat.utime + stat.stime).as_secs_f64());
            register("process_cpu_seconds", "CPU time used by the process", &cpu)?;
            if let Ok(boot_time) = procfs::boot_time_secs() {
                let started_at = Duration::from_secs(boot_time) + time_of_ticks(stat.starttime);
                register(
                    "process_start_time_seconds",
                    "Start time of the process, in seconds since 1970",
                    &ConstGauge::new(started_at.as_secs_f64()),
                )?;
            }
        }
        let mut gauge = |name, help, value: u64| register(name, help, &ConstGauge::new(value));
        if let Ok(stat) = stat {
            let (resident, threads) = (stat.rss_bytes().get(), stat.num_threads.unsigned_abs());
            gauge("process_resident_memory_bytes", "Resident memory of the process", resident)?;
            gauge("process_virtual_memory_bytes", "Virtual memory of the process", stat.vsize)?;
            gauge("process_threads", "Threads of the process", threads)?;
        }
        if let Ok(open) = process.fd_count() {
            // Without the descriptor through which this reads.
            let open = open.saturating_sub(1) as u64;
            gauge("process_open_fds", "Open file descriptors of the process", open)?;
        }
        if let Ok(limits) = process.limits()
            && let process::LimitValue::Value(limit) = limits.max_open_files.soft_limit
        {
            let help = "Maximum number of open file descriptors of the process";
            gauge("process_max_fds", help, limit)?;
        }
        Ok(())
    }
}

/// `/proc` counts time in units of a hundredth of a second.
fn time_of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / procfs::ticks_per_second())
}
