//! The settings of traces, from the environment variables that OpenTelemetry defines, so that a
//! platform's own settings apply. The gateway refuses to start with a value that it does not support,
//! because otherwise nobody would notice why the collector gets nothing.

use std::{env, fmt, fs, str::FromStr, time::Duration};

use url::Url;

use super::SettingError;
use crate::runtime::certificates::certificates;

/// Where traces go, and which calls are traced.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// Address of a collector that speaks OTLP over gRPC: `http://` or `https://`, host, port.
    pub endpoint: String,
    /// The only CA certificates to trust for an `https://` address, in PEM; `None`: the platform's.
    pub ca: Option<Vec<u8>>,
    /// Which calls are traced.
    pub sampling: Sampling,
    /// How many spans may wait for the collector; further ones are dropped, and counted.
    pub queue: usize,
    /// How long spans are collected before they are sent.
    pub delay: Duration,
}

/// Which calls are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// A call in a caller's trace follows the caller's decision.
    pub follows_parent: bool,
    /// The fraction of all other calls that are traced: from 0 for none to 1 for all.
    pub ratio: f64,
}

impl TraceSettings {
    /// OpenTelemetry's defaults for everything except the collector's address.
    pub fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            ca: None,
            sampling: Sampling { follows_parent: true, ratio: 1.0 },
            queue: 2048,
            delay: Duration::from_secs(5),
        }
    }

    /// From the environment of the process; `None` if no collector is named, or traces are off.
    ///
    /// # Errors
    ///
    /// The first variable whose value the gateway does not support.
    pub fn from_environment() -> Result<Option<Self>, SettingError> {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SettingError> {
        // OpenTelemetry treats an empty variable as unset.
        let variable = |name: &'static str| {
            let value = lookup(name)?.trim().to_owned();
            (!value.is_empty()).then_some(Variable { name, value })
        };
        // A variable for traces takes precedence over that for all signals.
        let either = |traces, all| variable(traces).or_else(|| variable(all));
        let has_value = |name, value: &str| {
            variable(name).is_some_and(|given| given.value.eq_ignore_ascii_case(value))
        };

        if has_value("OTEL_SDK_DISABLED", "true") || has_value("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let endpoint = either("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT");
        let Some(endpoint) = endpoint else { return Ok(None) };
        let mut settings = Self::new(endpoint.parsed(check_endpoint)?);
        if let Some(protocol) =
            either("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        {
            protocol.must_be("grpc", "this gateway speaks only grpc, usually to port 4317")?;
        }
        if let Some(compression) =
            either("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")
        {
            compression.must_be("none", "this gateway sends traces without compression")?;
        }
        if let Some(certificate) = either(
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        ) {
            let problem = "is set, but this gateway presents no certificate to the collector";
            return Err(certificate.wrong(problem));
        }
        if let Some(path) =
            either("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")
        {
            settings.ca = Some(path.parsed(read_ca)?);
        }
        if let Some(sampler) = variable("OTEL_TRACES_SAMPLER") {
            settings.sampling = sampler.parsed(str::parse)?;
            if sampler.value.ends_with("traceidratio")
                && let Some(ratio) = variable("OTEL_TRACES_SAMPLER_ARG")
            {
                settings.sampling.ratio = ratio.parsed(ratio_of_calls)?;
            }
        }
        if let Some(queue) = variable("OTEL_BSP_MAX_QUEUE_SIZE") {
            settings.queue = queue.parsed(number)?;
        }
        if let Some(delay) = variable("OTEL_BSP_SCHEDULE_DELAY") {
            settings.delay = Duration::from_millis(delay.parsed(number)?);
        }
        Ok(Some(settings))
    }
}

/// An environment variable that is set.
struct Variable {
    name: &'static str,
    value: String,
}

impl Variable {
    fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, SettingError> {
        parse(&self.value).map_err(|problem| self.wrong(problem))
    }

    fn must_be(&self, only: &str, why: &str) -> Result<(), SettingError> {
        if self.value == only {
            return Ok(());
        }
        Err(self.wrong(format!("is {}; {why}", self.value)))
    }

    fn wrong(&self, problem: impl Into<String>) -> SettingError {
        SettingError::new(self.name, problem)
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = if self.follows_parent { "parentbased_" } else { "" };
        write!(f, "{parent}traceidratio of {}", self.ratio)
    }
}

impl FromStr for Sampling {
    type Err = String;

    /// Parses the name of a sampler; `traceidratio` means all calls until its argument is known.
    fn from_str(sampler: &str) -> Result<Self, String> {
        let root = sampler.strip_prefix("parentbased_");
        let ratio = match root.unwrap_or(sampler) {
            "always_on" | "traceidratio" => 1.0,
            "always_off" => 0.0,
            _ => {
                return Err(format!(
                    "is {sampler}; there are always_on, always_off and traceidratio, each also \
                     with parentbased_ before it"
                ));
            }
        };
        Ok(Self { follows_parent: root.is_some(), ratio })
    }
}

fn ratio_of_calls(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| format!("is {text}, not between 0 and 1"))
}

fn check_endpoint(endpoint: &str) -> Result<String, String> {
    endpoint
        .parse()
        .ok()
        .filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .map(|_| endpoint.to_owned())
        // Without the value, which may contain credentials.
        .ok_or_else(|| "is not an address such as http://collector.example:4317".to_owned())
}

fn read_ca(path: &str) -> Result<Vec<u8>, String> {
    let pem = fs::read(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    certificates(&pem).map_err(|why| format!("{path} {why}"))?;
    Ok(pem)
}

fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("is {text}, which is not a valid number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");

    fn of(variables: &[(&str, &str)]) -> Result<Option<TraceSettings>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(given, _)| *given == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        TraceSettings::from_variables(variable).map_err(|error| error.to_string())
    }

    #[test]
    fn traces_need_an_endpoint_and_can_be_turned_off() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
        let default = TraceSettings::new("http://collector:4317".to_owned());
        assert_eq!(of(&[ENDPOINT]), Ok(Some(default)));
        assert_eq!(of(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]), Ok(None));
        assert_eq!(of(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces:4317");
        let settings = of(&[ENDPOINT, own]).unwrap().unwrap();
        assert_eq!(settings.endpoint, own.1);
    }

    #[test]
    fn sampling_queue_and_delay_come_from_their_variables() {
        let settings = of(&[
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ]);
        let settings = settings.unwrap().unwrap();
        let sampling = Sampling { follows_parent: false, ratio: 0.25 };
        assert_eq!(settings.sampling, sampling);
        assert_eq!(settings.queue, 16);
        assert_eq!(settings.delay, Duration::from_millis(100));
    }
}
