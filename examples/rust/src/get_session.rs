//! Gets one replica job session: `get-session ID [reference]`

use std::{env, error::Error, process::ExitCode, time::Duration};

use client::{
    connect, explain,
    pb::{
        GetReplicaSessionRequest, ReplicaSessionView as View,
        replica_session_service_client::ReplicaSessionServiceClient,
    },
    setting,
};
use tonic::Request;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (id, view) = match (arguments.next(), arguments.next().as_deref(), arguments.next()) {
        (Some(id), None, _) => (id, View::Entity),
        (Some(id), Some("reference"), None) => (id, View::Reference),
        _ => {
            eprintln!("usage: get-session ID [reference]");
            return Ok(ExitCode::from(2));
        }
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
