//! Shared by the programs here: the connection to the gateway, and what to make of its errors.

use std::{env, error::Error, fs, time::Duration};

use tonic::{
    Code, Status, TimeoutExpired,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_types::StatusExt;

pub mod pb {
    tonic::include_proto!("enterprisemanager.v1");
}

/// One channel serves a whole process: clones of it share the connection.
pub fn connect() -> Result<Channel, Box<dyn Error>> {
    let address = setting("GATEWAY_ADDRESS").unwrap_or("127.0.0.1:50051".to_owned());
    let Some(ca) = setting("TLS_CA_FILE") else {
        return Ok(alive(Endpoint::try_from(format!("http://{address}"))?).connect_lazy());
    };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(fs::read(ca)?));
    if let (Some(certificate), Some(key)) = (setting("TLS_CERT_FILE"), setting("TLS_KEY_FILE")) {
        tls = tls.identity(Identity::from_pem(fs::read(certificate)?, fs::read(key)?));
    }
    Ok(alive(Endpoint::try_from(format!("https://{address}"))?).tls_config(tls)?.connect_lazy())
}

/// Asks whether the connection is alive if nothing has come back for 30 s, and waits 10 s for the answer.
fn alive(endpoint: Endpoint) -> Endpoint {
    endpoint
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
}

// errors: begin
pub fn explain(status: &Status) -> String {
    // Where other clients say DeadlineExceeded, tonic's says Cancelled.
    let is_late = status.message() == TimeoutExpired(()).to_string();
    let code = if is_late { Code::DeadlineExceeded } else { status.code() };
    let mut lines = format!("code     {code:?}\nmessage  {}\n", status.message());
    let details = status.get_error_details();
    if let Some(info) = details.error_info() {
        lines += &format!("reason   {}\n", info.reason);
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        lines += &format!("retry    after {} s\n", delay.as_secs_f64());
    }
    for violation in details.bad_request().map_or(&[][..], |bad| &bad.field_violations) {
        lines += &format!("field    {} {}\n", violation.field, violation.description);
    }
    lines
}
// errors: end

/// The gateway's machine-readable reason; empty if a proxy or the library created the error.
pub fn reason(status: &Status) -> String {
    let info = status.get_error_details().error_info().cloned();
    info.filter(|info| info.domain == "replicasession.gateway")
        .map_or_else(String::new, |info| info.reason)
}

/// Whether the gateway itself says why another watch would not help. Without a reason of the gateway, the
/// connection or a proxy has failed, and what stands between decides which code that has.
pub fn is_lasting(status: &Status) -> bool {
    let passes = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
    !reason(status).is_empty() && !passes
}

/// After how long another attempt may succeed; zero if the gateway does not say so.
pub fn retry_delay(status: &Status) -> Duration {
    let details = status.get_error_details();
    details.retry_info().and_then(|retry| retry.retry_delay).unwrap_or_default()
}

/// The environment variable, unless it is empty.
pub fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
