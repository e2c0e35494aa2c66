//! A call that ends at its deadline: the log, `/status` and the metrics say whether Enterprise Manager is
//! slow, too many reads wait for a permit, or the deadline is too short.

use std::time::Duration;

use futures_util::future::join_all;
use replica_session_gateway::proto::v1::{
    GetReplicaSessionRequest, ListReplicaSessionsRequest,
    replica_session_service_client::ReplicaSessionServiceClient,
};
use serde_json::Value;
use simulator::Fault;
use tokio::{task::JoinHandle, time::timeout};
use tonic::{Request, transport::Endpoint};

use super::{
    status::status,
    support::{FINISHED, Serving, metrics, start},
};

const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// Much more than any of these tests needs.
const SOON: Duration = Duration::from_secs(20);

/// So many calls with this deadline, none of which accepts another one's answer: whether each was answered.
fn calls(gateway: &Serving, count: usize, deadline: Duration) -> JoinHandle<Vec<bool>> {
    let url = format!("http://{}", gateway.address);
    tokio::spawn(async move {
        let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
        let client = ReplicaSessionServiceClient::new(channel);
        let call = |_| {
            let mut client = client.clone();
            let mut request = Request::new(GetReplicaSessionRequest {
                id: FINISHED.to_owned(),
                max_age: Some(prost_types::Duration::default()),
                ..GetReplicaSessionRequest::default()
            });
            request.set_timeout(deadline);
            async move { client.get(request).await.is_ok() }
        };
        join_all((0..count).map(call)).await
    })
}

/// What `/status` says of the permits, as soon as it has a remedy.
async fn permits_with_remedy(gateway: &Serving) -> Value {
    let told = async {
        loop {
            let permits = status(gateway).await["enterprise_manager"]["permits"].clone();
            if !permits["remedy"].is_null() {
                return permits;
            }
        }
    };
    timeout(SOON, told).await.expect("a remedy in /status")
}

fn assert_in_runbook(remedy: &str) {
    let whole = RUNBOOK.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(whole.to_lowercase().contains(&remedy.to_lowercase()), "{remedy}");
}

#[tokio::test]
async fn calls_that_wait_for_a_permit_until_their_deadline_are_told_from_a_slow_em() {
    let (simulator, gateway) = start(&["--em-concurrency=1", "--em-batch=1"]).await;
    simulator.set_faults(["latency=300ms".parse::<Fault>().unwrap()]);
    let calls = calls(&gateway, 20, Duration::from_secs(3));

    let permits = permits_with_remedy(&gateway).await;
    assert_eq!(permits["limit"], 1);
    assert_eq!(permits["in_use"], 1);
    assert!(permits["waiting"].as_u64().unwrap() > 5, "{permits}");
    assert!(permits["longest_wait_seconds"].as_f64().unwrap() >= 1.0, "{permits}");
    assert!(permits["waiting_since"].is_string(), "{permits}");
    assert!(permits["request_seconds"].as_f64().unwrap() < 1.0, "{permits}");
    let text = metrics(&gateway).await;
    let metric = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} is not in {text}")).trim().parse().unwrap()
    };
    assert!(metric(r#"gateway_em_reads_waiting{of="calls"}"#) > 5.0);
    assert!(metric(r#"gateway_em_reads_waiting{of="lists"}"#) < 1.0);
    assert!((metric("gateway_em_permits ") - 1.0).abs() < 0.1);
    assert!((metric("gateway_em_permits_in_use ") - 1.0).abs() < 0.1);

    let answered = calls.await.unwrap();
    assert!(answered.contains(&true), "{answered:?}");
    assert!(answered.contains(&false), "{answered:?}");
    let line = gateway.logged("deadline exceeded").await;
    let (text, remedy) = (line["message"].as_str().unwrap(), line["remedy"].as_str().unwrap());
    assert!(text.contains("other reads waited too, for 1 permits"), "{text}");
    assert!(remedy.contains("raise --em-concurrency or add replicas"), "{remedy}");
    assert_eq!(permits["remedy"], remedy);
    assert_in_runbook(remedy);

    let after = &status(&gateway).await["enterprise_manager"];
    assert_eq!(after["answers"], "yes", "EM has answered all that it was asked: {after}");
    assert_eq!(after["last_failure"], Value::Null);
    assert_eq!(after["permits"]["waiting"], 0);
    assert_eq!(after["permits"]["remedy"], Value::Null);
    let text = metrics(&gateway).await;
    let sum =
        text.lines().find_map(|line| line.strip_prefix("gateway_em_permit_wait_seconds_sum "));
    assert!(sum.unwrap().parse::<f64>().unwrap() > 20.0, "about 2 s for each of 20 calls: {sum:?}");
}

#[tokio::test]
async fn reads_that_wait_because_em_is_slow_are_em_s_fault() {
    let (simulator, gateway) = start(&["--em-concurrency=1"]).await;
    simulator.set_faults(["silence".parse::<Fault>().unwrap()]);
    let calls = calls(&gateway, 5, Duration::from_secs(3));
    let permits = permits_with_remedy(&gateway).await;
    assert!(
        permits["remedy"].as_str().unwrap().contains("Enterprise Manager is slow"),
        "{permits}"
    );
    assert_eq!(calls.await.unwrap(), [false; 5]);
    let line = gateway.logged("deadline exceeded").await;
    assert!(line["message"].as_str().unwrap().contains("or longer for a request"), "{line}");
    assert_eq!(line["remedy"], permits["remedy"]);
    assert_in_runbook(line["remedy"].as_str().unwrap());
    // All of them have the same reason and the same remedy.
    let em = &status(&gateway).await["enterprise_manager"];
    assert_eq!(em["last_failure"]["remedy"], line["remedy"]);
    for line in gateway.all_logged("deadline exceeded") {
        assert_eq!(line["remedy"], permits["remedy"]);
    }
}

#[tokio::test]
async fn a_deadline_that_is_shorter_than_em_needs_is_the_caller_s_fault() {
    let (simulator, gateway) = start(&[]).await;
    simulator.set_faults(["latency=800ms".parse::<Fault>().unwrap()]);
    assert_eq!(calls(&gateway, 1, Duration::from_millis(300)).await.unwrap(), [false]);
    let line = gateway.logged("deadline exceeded").await;
    let (text, remedy) = (line["message"].as_str().unwrap(), line["remedy"].as_str().unwrap());
    assert!(text.contains("deadline exceeded: Enterprise Manager had 0."), "{text}");
    assert!(remedy.contains("its deadline is shorter"), "{remedy}");
    assert_in_runbook(remedy);
}

#[tokio::test]
async fn a_silent_em_is_at_fault_even_if_all_deadlines_are_short_and_most_time_is_waiting() {
    let (simulator, gateway) = start(&["--em-batch=1"]).await;
    simulator.set_faults(["silence".parse::<Fault>().unwrap()]);
    // A read that waits gets its permit when there is hardly any time left for Enterprise Manager.
    for _ in 0..15 {
        drop(calls(&gateway, 30, Duration::from_millis(900)));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let slow = "Enterprise Manager is slow";
    let permits = status(&gateway).await["enterprise_manager"]["permits"].clone();
    assert!(permits["request_seconds"].as_f64().unwrap() > 1.0, "{permits}");
    assert!(permits["remedy"].as_str().unwrap().contains(slow), "{permits}");
    let told = async {
        loop {
            let lines = gateway.all_logged("more calls failed or were refused for the same reason");
            let slow = |line: &&Value| line["remedy"].as_str().unwrap().contains(slow);
            if let Some(sum) = lines.iter().find(slow) {
                return sum["calls_in_all"].as_u64().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let slow = timeout(SOON, told).await.expect("a sum of calls that EM was too slow for");
    assert!(slow > 200, "{slow} of 450; the first ones cannot know yet");
}

#[tokio::test]
async fn where_more_reads_wait_than_em_can_answer_it_is_asked_for_those_that_have_time() {
    let (simulator, gateway) = start(&["--em-concurrency=1", "--em-batch=1"]).await;
    simulator.set_faults(["latency=300ms".parse::<Fault>().unwrap()]);
    let mut all = Vec::new();
    for _ in 0..40 {
        all.push(calls(&gateway, 1, Duration::from_millis(1500)));
        tokio::time::sleep(Duration::from_millis(75)).await;
    }
    let mut answered = 0;
    for call in all {
        answered += usize::from(call.await.unwrap() == [true]);
    }
    let text = metrics(&gateway).await;
    let name = r#"gateway_em_requests_total{outcome="given_up"} "#;
    let given_up: usize =
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap();
    // If each read were sent when it gets a permit, this would be five answers and 35 requests for nothing.
    assert!(given_up <= answered, "{answered} answered, {given_up} given up");
}

#[tokio::test]
async fn lists_that_wait_because_lists_take_long_are_em_s_fault() {
    // One permit for lists. The logon is no part of the time that they take.
    let (simulator, gateway) = start(&["--em-concurrency=4"]).await;
    let faults = ["query-latency=1500ms", "logon-latency=300ms"];
    simulator.set_faults(faults.map(|fault| fault.parse::<Fault>().unwrap()));
    let channel = Endpoint::from_shared(format!("http://{}", gateway.address)).unwrap();
    let client = ReplicaSessionServiceClient::new(channel.connect().await.unwrap());
    let list = |page_size| {
        let mut client = client.clone();
        let list =
            ListReplicaSessionsRequest { page_size, ..ListReplicaSessionsRequest::default() };
        let mut request = Request::new(list);
        request.set_timeout(Duration::from_millis(2800));
        async move { client.list(request).await.is_ok() }
    };
    let answered = join_all((1..=4).map(list)).await;
    assert!(answered.contains(&false), "{answered:?}");
    let line = gateway.logged("deadline exceeded").await;
    let text = line["message"].as_str().unwrap();
    assert!(text.contains("or longer for a request"), "{text}");
    assert!(line["remedy"].as_str().unwrap().contains("Enterprise Manager is slow"), "{line}");
}
