//! Where traces go: from the environment variables that OpenTelemetry names, so that what runs on a
//! platform need not be told twice.

use std::{env, fmt, fs, str::FromStr, time::Duration};

use url::Url;

use super::SettingError;
use crate::runtime::certificates::certificates;

/// Spans that may wait for the collector, unless told otherwise: OpenTelemetry's own number.
const QUEUE: usize = 2048;

/// How long spans are gathered, unless told otherwise: OpenTelemetry's own number.
const DELAY: Duration = Duration::from_secs(5);

/// Where traces go, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// Address of a collector that speaks OTLP over gRPC: `http://` or `https://`, host, port.
    pub endpoint: String,
    /// The only CA certificates to trust for an `https://` address, in PEM; none: the platform's.
    pub ca: Option<Vec<u8>>,
    /// Which calls are traced.
    pub sampling: Sampling,
    /// Spans that may wait for the collector; one more is dropped, and counted.
    pub queue: usize,
    /// How long spans are gathered before they are sent.
    pub delay: Duration,
}

/// Which calls are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// What the caller has decided for its trace goes for the call.
    pub follows_parent: bool,
    /// The part of all other traces: 1 for all, 0 for none.
    pub ratio: f64,
}

impl TraceSettings {
    /// Everything at its default but for the collector's address.
    pub fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            ca: None,
            sampling: Sampling::default(),
            queue: QUEUE,
            delay: DELAY,
        }
    }

    /// What the environment of the process says; none: no traces.
    ///
    /// # Errors
    ///
    /// The first variable that asks for what there is not.
    pub fn from_environment() -> Result<Option<Self>, SettingError> {
        Self::of(|name| env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingError> {
        // An empty variable is one that is not set, says OpenTelemetry.
        let given = |name: &'static str| {
            let value = variable(name).map(|value| value.trim().to_owned());
            value.filter(|value| !value.is_empty()).map(|v| (name, v))
        };
        let is = |name, value| given(name).is_some_and(|(_, given)| given == value);
        let either = |own, common| given(own).or_else(|| given(common));
        let endpoint = either(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        );
        let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"))
            || is("OTEL_TRACES_EXPORTER", "none");
        let Some((name, endpoint)) = endpoint.filter(|_| !is_off) else {
            return Ok(None);
        };
        let mut settings = Self::new(checked(name, endpoint)?);
        let protocol = either(
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        );
        if let Some((name, protocol)) = protocol.filter(|(_, protocol)| protocol != "grpc") {
            let problem =
                format!("is {protocol}; this gateway speaks grpc, to port 4317 as a rule");
            return Err(SettingError::new(name, problem));
        }
        let compression = either(
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
            "OTEL_EXPORTER_OTLP_COMPRESSION",
        );
        if let Some((name, kind)) = compression.filter(|(_, kind)| kind != "none") {
            let problem = format!("is {kind}; this gateway sends traces without compression");
            return Err(SettingError::new(name, problem));
        }
        let client = either(
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        );
        if let Some((name, _)) = client {
            let problem = "is set; this gateway shows the collector no certificate";
            return Err(SettingError::new(name, problem));
        }
        let ca = either(
            "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
        );
        settings.ca = ca.map(|(name, path)| read_ca(name, &path)).transpose()?;
        if let Some((name, sampler)) = given("OTEL_TRACES_SAMPLER") {
            settings.sampling = Sampling::of(name, &sampler, given("OTEL_TRACES_SAMPLER_ARG"))?;
        }
        if let Some((name, queue)) = given("OTEL_BSP_MAX_QUEUE_SIZE") {
            settings.queue = number(name, &queue)?;
        }
        if let Some((name, delay)) = given("OTEL_BSP_SCHEDULE_DELAY") {
            settings.delay = Duration::from_millis(number(name, &delay)?);
        }
        Ok(Some(settings))
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            follows_parent: true,
            ratio: 1.0,
        }
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = if self.follows_parent {
            "parentbased_"
        } else {
            ""
        };
        write!(f, "{parent}traceidratio of {}", self.ratio)
    }
}

impl Sampling {
    fn of(
        name: &'static str,
        sampler: &str,
        argument: Option<(&'static str, String)>,
    ) -> Result<Self, SettingError> {
        let own = sampler.strip_prefix("parentbased_");
        let ratio = match own.unwrap_or(sampler) {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => match argument {
                None => 1.0,
                Some((name, ratio)) => ratio
                    .parse()
                    .ok()
                    .filter(|ratio| (0.0..=1.0).contains(ratio))
                    .ok_or_else(|| {
                        SettingError::new(name, format!("is {ratio}, not between 0 and 1"))
                    })?,
            },
            _ => {
                let problem = format!(
                    "is {sampler}; there are always_on, always_off and traceidratio, each also \
                     with parentbased_ before it"
                );
                return Err(SettingError::new(name, problem));
            }
        };
        Ok(Self {
            follows_parent: own.is_some(),
            ratio,
        })
    }
}

/// An address that can be connected to.
fn checked(name: &'static str, endpoint: String) -> Result<String, SettingError> {
    let url: Option<Url> = endpoint.parse().ok();
    let is_one = url.is_some_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    });
    // Without its value: it may hold what somebody took for a place for credentials.
    let problem = "is not an address such as http://collector.example:4317";
    is_one
        .then_some(endpoint)
        .ok_or_else(|| SettingError::new(name, problem))
}

fn read_ca(name: &'static str, path: &str) -> Result<Vec<u8>, SettingError> {
    let wrong = |why: String| SettingError::new(name, format!("{path} {why}"));
    let pem = fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    certificates(&pem).map_err(|why| wrong(why.clone()))?;
    Ok(pem)
}

fn number<N: FromStr>(name: &'static str, text: &str) -> Result<N, SettingError> {
    let number = text.parse();
    number.map_err(|_| SettingError::new(name, format!("is {text}, which is not such a number")))
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
        TraceSettings::of(variable).map_err(|error| error.to_string())
    }

    #[test]
    fn there_are_traces_only_where_an_endpoint_is_named_and_nothing_turns_them_off() {
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
    fn sampling_queue_and_delay_are_what_the_variables_say() {
        let settings = of(&[
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ]);
        let settings = settings.unwrap().unwrap();
        let sampling = Sampling {
            follows_parent: false,
            ratio: 0.25,
        };
        assert_eq!(settings.sampling, sampling);
        assert_eq!(settings.queue, 16);
        assert_eq!(settings.delay, Duration::from_millis(100));
    }

    #[test]
    fn what_cannot_be_done_is_said_with_the_variable_s_name() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "http://user:secret@collector",
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.crt"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "tls.crt"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ] {
            let wrong = of(&[(name, value), ENDPOINT]).unwrap_err();
            assert!(wrong.starts_with(name), "{wrong}");
            assert!(!wrong.contains("secret"), "{wrong}");
        }
    }
}
