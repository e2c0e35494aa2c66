//! Gets one replica job session: `get-session ID [reference]`

use std::{env, error::Error, fs, process::ExitCode, time::Duration};

use tonic::{
    Code, Request, Status, TimeoutExpired,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_types::StatusExt;

mod pb {
    tonic::include_proto!("enterprisemanager.v1");
}
use pb::{
    GetReplicaSessionRequest, ReplicaSessionView as View,
    replica_session_service_client::ReplicaSessionServiceClient,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let id = arguments.next().ok_or("usage: get-session ID [reference]")?;
    let view = match arguments.next().as_deref() {
        Some("reference") => View::Reference,
        _ => View::Entity,
    };
    let seconds = setting("DEADLINE_SECONDS").map_or(Ok(5.0), |text| text.parse())?;
    let mut request =
        Request::new(GetReplicaSessionRequest { id, view: view.into(), ..Default::default() });
    request.set_timeout(Duration::from_secs_f64(seconds));

    let mut gateway = ReplicaSessionServiceClient::new(connect()?);
    match gateway.get(request).await {
        Ok(answer) => {
            let session = answer.into_inner().replica_session.unwrap_or_default();
            println!("type     {}", session.r#type);
            println!("name     {}", session.name);
            println!("state    {}", session.state().as_str_name());
            println!("result   {}", session.result().as_str_name());
            Ok(ExitCode::SUCCESS)
        }
        Err(status) => {
            eprint!("{}", explain(&status));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// One channel serves a whole process: clones of it share the connection.
fn connect() -> Result<Channel, Box<dyn Error>> {
    let address = setting("GATEWAY_ADDRESS").unwrap_or("127.0.0.1:50051".to_owned());
    let Some(ca) = setting("TLS_CA_FILE") else {
        return Ok(Endpoint::try_from(format!("http://{address}"))?.connect_lazy());
    };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(fs::read(ca)?));
    if let (Some(certificate), Some(key)) = (setting("TLS_CERT_FILE"), setting("TLS_KEY_FILE")) {
        tls = tls.identity(Identity::from_pem(fs::read(certificate)?, fs::read(key)?));
    }
    Ok(Endpoint::try_from(format!("https://{address}"))?.tls_config(tls)?.connect_lazy())
}

// errors: begin
fn explain(status: &Status) -> String {
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

fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
