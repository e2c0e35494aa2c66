//! The `health` command for containers, and the health of Enterprise Manager in `grpc.health.v1`.

use super::{
    certificates::{authority, issue, issue_expired},
    support::{FINISHED, program, run, start},
};
use simulator::Fault;
use tokio::time::{Duration, sleep, timeout};
use tonic::{Streaming, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

#[tokio::test]
async fn the_exit_code_of_health_reports_whether_a_gateway_serves() {
    let (_simulator, gateway) = start(&[]).await;
    let port = gateway.address.rsplit(':').next().unwrap().to_owned();
    let service = "enterprisemanager.v1.ReplicaSessionService";
    let admin = gateway.admin.clone();
    for arguments in [
        vec!["--address", &gateway.address],
        vec!["--address", &gateway.address, "--service", service],
        vec!["--readyz", "--admin-address", &admin],
    ] {
        let (code, out, err) = run(program(&["health"]).args(&arguments)).await;
        assert_eq!((code, out.as_str()), (0, "SERVING\n"), "{arguments:?}: {err}");
    }
    // As in a container: `health` uses the same variable as `serve`.
    let mut health = program(&["health"]);
    let listen = format!("[::]:{port}");
    let (code, _, err) = run(health.env("GATEWAY_LISTEN", listen)).await;
    assert_eq!(code, 0, "{err}");

    for (arguments, expected) in [
        (vec!["--address", &gateway.address, "--service", "x"], 66),
        (vec!["--address", "nonsense"], 64),
        (vec!["--timeout", "soon"], 64),
        (vec!["--address", &admin, "--timeout", "500ms"], 69),
        (vec!["--readyz", "--admin-address", &gateway.address], 69),
    ] {
        let (code, out, err) = run(program(&["health"]).args(&arguments)).await;
        assert_eq!((code, out.as_str()), (expected, ""), "{arguments:?}: {err}");
        assert!(err.starts_with("error: "), "{arguments:?}: {err}");
    }

    let address = gateway.address.clone();
    assert_eq!(gateway.stop().await, 0);
    let (code, _, err) = run(&mut program(&["health", "--address", &address])).await;
    assert_eq!(code, 69, "{err}");
}

#[tokio::test]
async fn a_gateway_that_is_shutting_down_is_not_healthy() {
    let (_simulator, gateway) = start(&["--lame-duck=10s"]).await;
    let (address, admin) = (gateway.address.clone(), gateway.admin.clone());
    let stopping = tokio::spawn(gateway.stop());
    for arguments in [
        vec!["health", "--address", &address],
        vec!["health", "--readyz", "--admin-address", &admin],
    ] {
        loop {
            let (code, out, _) = run(&mut program(&arguments)).await;
            if code == 1 {
                assert_eq!(out, "NOT_SERVING\n");
                break;
            }
            assert_eq!(code, 0);
        }
    }
    stopping.abort();
}

#[tokio::test]
async fn the_health_of_enterprise_manager_follows_its_answers_and_affects_no_other_service() {
    let (simulator, gateway) = start(&[]).await;
    let says = async |service: &str| {
        let arguments = ["health", "--address", &gateway.address, "--service", service];
        run(&mut program(&arguments)).await.1
    };
    let comes_to_say = async |expected: &str| {
        while says("enterprise-manager").await != expected {
            sleep(Duration::from_millis(20)).await;
        }
    };
    comes_to_say("UNKNOWN\n").await;
    assert_eq!(gateway.get(FINISHED).await.0, 0);
    comes_to_say("SERVING\n").await;
    let fault: Fault = "503".parse().unwrap();
    simulator.set_faults([fault]);
    assert_eq!(gateway.get(FINISHED).await.0, 69);
    comes_to_say("NOT_SERVING\n").await;
    assert_eq!(says("").await, "SERVING\n");
    simulator.set_faults([]);
    assert_eq!(gateway.get(FINISHED).await.0, 0);
    comes_to_say("SERVING\n").await;
}

#[tokio::test]
async fn health_uses_a_certificate_over_tls_and_none_at_the_admin_listener() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let authority = authority();
    let ca = file("ca.crt", &authority.pem());
    let own = issue(&authority, &["localhost"]);
    let caller = issue(&authority, &["probe.example"]);
    let (_simulator, gateway) = start(&[
        "--tls-cert-file",
        &file("tls.crt", &own.certificate),
        "--tls-key-file",
        &file("tls.key", &own.key),
        "--client-ca-file",
        &ca,
        "--allow-caller",
        "somebody.else",
    ])
    .await;
    let port = gateway.address.rsplit(':').next().unwrap();
    let server = format!("https://localhost:{port}");
    let (cert, key) = (file("c.crt", &caller.certificate), file("c.key", &caller.key));
    let trusting = ["health", "--timeout=20s", "--server", &server, "--ca-file", &ca];
    let known = [&trusting[..], &["--cert-file", &cert, "--key-file", &key]].concat();
    let (code, out, err) = run(&mut program(&known)).await;
    assert_eq!((code, out.as_str()), (0, "SERVING\n"), "{err}");
    let em = [&known[..], &["--service", "enterprise-manager"]].concat();
    let (code, out, err) = run(&mut program(&em)).await;
    assert_eq!((code, out.as_str()), (1, "UNKNOWN\n"), "{err}");

    let (code, _, err) = run(&mut program(&trusting)).await;
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("--cert-file"), "{err}");
    let old = issue_expired(&authority, &["probe.example"]);
    let (old_cert, old_key) = (file("o.crt", &old.certificate), file("o.key", &old.key));
    let expired = [&trusting[..], &["--cert-file", &old_cert, "--key-file", &old_key]].concat();
    let (code, _, err) = run(&mut program(&expired)).await;
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("does not accept the certificate"), "{err}");
    let refused = || gateway.all_logged("no valid client certificate");
    let says = |word: &str| refused().iter().any(|line| line["error"].to_string().contains(word));
    while !says("expired") {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(refused().iter().all(|line| line["remedy"].is_string()));
    // Without a flag: in plaintext.
    let (code, _, err) = run(&mut program(&["health", "--address", &gateway.address])).await;
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("--readyz") && err.contains("--server"), "{err}");
    let admin = ["health", "--readyz", "--admin-address", &gateway.admin];
    let (code, out, err) = run(&mut program(&admin)).await;
    assert_eq!((code, out.as_str()), (0, "SERVING\n"), "{err}");
}

/// The next status of a health watch.
async fn next(watch: &mut Streaming<HealthCheckResponse>) -> ServingStatus {
    let told = timeout(Duration::from_secs(30), watch.message()).await;
    told.unwrap().unwrap().expect("a status").status()
}

#[tokio::test]
async fn a_health_watch_reports_when_enterprise_manager_fails_and_recovers() {
    let (simulator, gateway) = start(&[]).await;
    let server = format!("http://{}", gateway.address);
    let channel = Channel::from_shared(server).unwrap().connect().await;
    let request = HealthCheckRequest { service: "enterprise-manager".to_owned() };
    let mut client = HealthClient::new(channel.unwrap());
    let mut watch = client.watch(request).await.unwrap().into_inner();
    assert_eq!(next(&mut watch).await, ServingStatus::Unknown);
    assert_eq!(gateway.get(FINISHED).await.0, 0);
    assert_eq!(next(&mut watch).await, ServingStatus::Serving);
    let fault: Fault = "503".parse().unwrap();
    simulator.set_faults([fault]);
    assert_eq!(gateway.get(FINISHED).await.0, 69);
    assert_eq!(next(&mut watch).await, ServingStatus::NotServing);
    simulator.set_faults([]);
    assert_eq!(gateway.get(FINISHED).await.0, 0);
    assert_eq!(next(&mut watch).await, ServingStatus::Serving);
}
