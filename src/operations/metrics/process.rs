//! What the process takes of its machine, under the names that all Prometheus clients use. Read
//! from `/proc` at each scrape; where there is none, nothing is said.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// Linux counts processor time in these, on every platform that this is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc/self`.
#[derive(Debug)]
pub(super) struct Process;

/// Fields of `/proc/self/stat` behind the name, counted from the state as 0; see proc(5).
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const START_TIME: usize = 19;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name of the process may contain anything, but ends with the last parenthesis.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let fields: Vec<f64> = fields
            .split_whitespace()
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        if let (Some(user), Some(system)) = (fields.get(USER_TIME), fields.get(SYSTEM_TIME)) {
            let seconds = ConstCounter::new((user + system) / TICKS_PER_SECOND);
            let help = "Processor time of the process";
            let kind = seconds.metric_type();
            let name = "process_cpu_seconds";
            seconds.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        let mut gauge = |name, help, value: Option<f64>| {
            let Some(value) = value else { return Ok(()) };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        let started = fields.get(START_TIME).zip(booted());
        gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            started.map(|(ticks, booted)| booted + ticks / TICKS_PER_SECOND),
        )?;
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        gauge(
            "process_resident_memory_bytes",
            "Memory of the process that is in RAM",
            kilobytes(&status, "VmRSS:"),
        )?;
        gauge(
            "process_virtual_memory_bytes",
            "Address space of the process",
            kilobytes(&status, "VmSize:"),
        )?;
        gauge(
            "process_threads",
            "Threads of the process",
            number_after(&status, "Threads:"),
        )?;
        gauge(
            "process_open_fds",
            "Open file descriptors of the process",
            open_files(),
        )?;
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        gauge(
            "process_max_fds",
            "File descriptors that the process may open",
            number_after(&limits, "Max open files"),
        )
    }
}

/// When the machine was started.
fn booted() -> Option<f64> {
    number_after(&fs::read_to_string("/proc/stat").ok()?, "btime")
}

fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    // The one that lists the others is closed again.
    u32::try_from(count.saturating_sub(1)).ok().map(f64::from)
}

fn kilobytes(text: &str, label: &str) -> Option<f64> {
    number_after(text, label).map(|number| number * 1024.0)
}

/// The first number of the line that begins with this label.
fn number_after(text: &str, label: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().next()?.parse().ok()
}
