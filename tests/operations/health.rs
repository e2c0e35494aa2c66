//! `health` for containers, and what `grpc.health.v1` says of Enterprise Manager.

use super::support::{FINISHED, program, run, start};
use replica_session_gateway::simulator::Fault;
use tokio::time::{Duration, sleep};

#[tokio::test]
async fn health_tells_by_its_exit_code_whether_a_gateway_serves() {
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
        assert_eq!(
            (code, out.as_str()),
            (0, "SERVING\n"),
            "{arguments:?}: {err}"
        );
    }
    // As in a container: the variable that tells serve where to listen.
    let mut health = program(&["health"]);
    let listen = format!("0.0.0.0:{port}");
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
async fn a_gateway_that_is_about_to_end_is_not_healthy() {
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
async fn health_of_enterprise_manager_follows_its_answers_and_touches_no_other_name() {
    let (simulator, gateway) = start(&[]).await;
    let says = async |service: &str| {
        let arguments = [
            "health",
            "--address",
            &gateway.address,
            "--service",
            service,
        ];
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
