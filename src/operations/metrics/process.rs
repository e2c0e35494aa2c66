//! The resources that the process uses, with the names that all Prometheus clients use.
//!
//! They are read from `/proc` at each scrape. `procfs` would do the same, but it knows all of `/proc`: compiling it
//! for these few numbers takes 3 s. If `/proc` cannot be read, these metrics are missing.

use std::{fmt, fs, io, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};
use rlimit::Resource;
use rustix::param::{clock_ticks_per_second, page_size};

/// Reads `/proc/self`.
#[derive(Debug)]
pub(super) struct Process;

/// What `/proc/self/stat` says.
#[derive(Debug, PartialEq, Eq)]
struct Usage {
    /// User and system time.
    cpu: Duration,
    threads: u64,
    /// When the process started, since the system's.
    started: Duration,
    virtual_bytes: u64,
    resident_bytes: u64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut register = |name, help, metric: &dyn EncodeMetric| {
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor(name, help, None, kind)?)
        };
        let usage = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| Usage::of(&stat));
        if let Some(usage) = &usage {
            let cpu = ConstCounter::new(usage.cpu.as_secs_f64());
            register("process_cpu_seconds", "CPU time used by the process", &cpu)?;
            if let Some(boot) = fs::read_to_string("/proc/stat").ok().and_then(|s| boot_time(&s)) {
                register(
                    "process_start_time_seconds",
                    "Start time of the process, in seconds since 1970",
                    &ConstGauge::new((boot + usage.started).as_secs_f64()),
                )?;
            }
        }
        let mut gauge = |name, help, value: u64| register(name, help, &ConstGauge::new(value));
        if let Some(usage) = usage {
            let (resident, virtual_size) = (usage.resident_bytes, usage.virtual_bytes);
            gauge("process_resident_memory_bytes", "Resident memory of the process", resident)?;
            gauge("process_virtual_memory_bytes", "Virtual memory of the process", virtual_size)?;
            gauge("process_threads", "Threads of the process", usage.threads)?;
        }
        if let Ok(open) = open_files() {
            gauge("process_open_fds", "Open file descriptors of the process", open)?;
        }
        if let Ok((soft, _)) = Resource::NOFILE.get()
            && soft != rlimit::INFINITY
        {
            let help = "Maximum number of open file descriptors of the process";
            gauge("process_max_fds", help, soft)?;
        }
        Ok(())
    }
}

impl Usage {
    /// `None` if the text has another form than proc(5) says.
    fn of(stat: &str) -> Option<Self> {
        // The program's name may have blanks and parentheses in it. proc(5) counts from the process id, which is 1;
        // the first field after the name is 3.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu: time_of_ticks(field(14)? + field(15)?),
            threads: field(20)?,
            started: time_of_ticks(field(22)?),
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page_size() as u64,
        })
    }
}

/// When the system started, since 1970, according to `/proc/stat`.
fn boot_time(stat: &str) -> Option<Duration> {
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn open_files() -> io::Result<u64> {
    const FOLDER: &str = "/proc/self/fd";
    // Since version 6.2, Linux tells the number without listing them.
    match fs::metadata(FOLDER)?.len() {
        // Without the one through which this reads.
        0 => Ok((fs::read_dir(FOLDER)?.count() as u64).saturating_sub(1)),
        number => Ok(number),
    }
}

/// `/proc` counts time in units of a hundredth of a second.
fn time_of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000) / clock_ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_whatever_the_program_is_called() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 5 0 0 0 250 150 0 0 20 0 9 0 4200 4096000 25 \
                    18446744073709551615 1 1 0";
        let usage = Usage {
            cpu: Duration::from_secs(4),
            threads: 9,
            started: Duration::from_secs(42),
            virtual_bytes: 4_096_000,
            resident_bytes: 25 * page_size() as u64,
        };
        assert_eq!(Usage::of(stat), Some(usage));
        assert_eq!(Usage::of("7 (a) S 1 7"), None);
    }

    #[test]
    fn the_numbers_of_this_process_are_plausible() {
        let usage = Usage::of(&fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
        assert!(usage.threads >= 1 && usage.resident_bytes > 1 << 20, "{usage:?}");
        assert!(usage.virtual_bytes >= usage.resident_bytes, "{usage:?}");
        let boot = boot_time(&fs::read_to_string("/proc/stat").unwrap()).unwrap();
        let age = std::time::UNIX_EPOCH.elapsed().unwrap().abs_diff(boot + usage.started);
        assert!(age < Duration::from_secs(3600), "{boot:?} {usage:?}");

        // Other tests open and close files meanwhile.
        let _files: Vec<_> = (0..500).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!((500..2000).contains(&open_files().unwrap()));
    }
}
