//! The settings of traces, from the environment variables that OpenTelemetry defines, so that a
//! platform's own settings apply. A value that the gateway does not support turns traces off, with a
//! warning: otherwise nobody would notice why the collector gets nothing, but what a platform sets in
//! every container must not stop the service.

use std::{env, time::Duration};

use http::HeaderMap;
use rustls::pki_types::TrustAnchor;

use super::{
    SettingError,
    trace_values::{
        Sampling, endpoint, headers, milliseconds, ratio_of_calls, read_ca, spans, true_or_false,
    },
};
use crate::runtime::text::{line, quoted};

/// Where traces go, and which calls are traced.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// Address of a collector that speaks OTLP over gRPC: `http://` or `https://`, host, port.
    pub endpoint: String,
    /// The only authorities to trust for an `https://` address; `None`: the platform's.
    pub ca: Option<Vec<TrustAnchor<'static>>>,
    /// What is sent with the spans, such as an API key: marked as secrets.
    pub headers: HeaderMap,
    /// How long a batch may take, with all its tries.
    pub timeout: Duration,
    /// Which calls are traced.
    pub sampling: Sampling,
    /// How many spans may wait for the collector; further ones are dropped, and counted.
    pub queue: usize,
    /// Most spans in a batch.
    pub batch: usize,
    /// How long spans are collected before they are sent.
    pub delay: Duration,
}

impl TraceSettings {
    /// OpenTelemetry's defaults for everything except the collector's address.
    pub fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            ca: None,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(10),
            sampling: Sampling { follows_parent: true, ratio: 1.0 },
            queue: 2048,
            batch: 512,
            delay: Duration::from_secs(5),
        }
    }

    /// From the environment of the process; `None` if no collector is named, or traces are off.
    ///
    /// # Errors
    ///
    /// The first variable whose value the gateway does not support.
    pub fn from_environment() -> Result<Option<Self>, SettingError> {
        // What is not UTF-8 keeps a character that none of the values may have.
        let lossy =
            |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Self::from_variables(lossy)
    }

    fn from_variables(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SettingError> {
        // OpenTelemetry treats an empty variable as unset.
        let variable = |name: &'static str| {
            let value = line(&lookup(name)?).trim().to_owned();
            (!value.is_empty()).then_some(Variable { name, value })
        };
        // A variable for traces takes precedence over that for all signals.
        let either = |traces, all| variable(traces).or_else(|| variable(all));

        if let Some(disabled) = variable("OTEL_SDK_DISABLED")
            && disabled.parsed(true_or_false)?
        {
            return Ok(None);
        }
        let exporter = variable("OTEL_TRACES_EXPORTER");
        if let Some(exporter) = &exporter {
            if exporter.is("none") {
                return Ok(None);
            }
            exporter.must_be("otlp", "this gateway has the exporters otlp and none")?;
        }
        let address = either("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT");
        let Some(address) = address else {
            let no_address = "is otlp; set OTEL_EXPORTER_OTLP_ENDPOINT to the collector's address";
            return exporter.map_or(Ok(None), |exporter| Err(exporter.wrong(no_address)));
        };
        let mut settings = Self::new(address.parsed(endpoint)?);
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
        if let Some(given) =
            either("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
        {
            settings.headers = given.parsed(headers)?;
        }
        if let Some(timeout) =
            either("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
        {
            settings.timeout = timeout.parsed(milliseconds)?;
        }
        if let Some(propagators) = variable("OTEL_PROPAGATORS")
            && !propagators.value.split(',').any(|one| one.trim() == "tracecontext")
        {
            let problem =
                format!("is {}; this gateway knows tracecontext alone", quoted(&propagators.value));
            return Err(propagators.wrong(problem));
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
            settings.queue = queue.parsed(spans)?;
        }
        if let Some(batch) = variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") {
            settings.batch = batch.parsed(spans)?;
        }
        if let Some(delay) = variable("OTEL_BSP_SCHEDULE_DELAY") {
            settings.delay = delay.parsed(milliseconds)?;
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

    fn is(&self, value: &str) -> bool {
        self.value.eq_ignore_ascii_case(value)
    }

    fn must_be(&self, only: &str, why: &str) -> Result<(), SettingError> {
        if self.is(only) {
            return Ok(());
        }
        Err(self.wrong(format!("is {}; {why}", quoted(&self.value))))
    }

    fn wrong(&self, problem: impl Into<String>) -> SettingError {
        SettingError::new(self.name, problem)
    }
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
