//! `watch` follows a run to its end through lost connections, and reports how it went.

use std::time::Instant;

use replica_session_gateway::{
    serve::{self, RunningGateway},
    settings::{EnterpriseManagerSettings, PasswordSource, Settings},
};
use simulator::{Options, RUNNING_SESSION_ID, Simulator};

use super::{
    canned::{canned, canned_with},
    *,
};

const FAILED: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009";

/// A gateway in this process, which reads watched sessions at short intervals.
pub async fn gateway(simulator: &Simulator, port: u16) -> RunningGateway {
    gateway_with(simulator, port, |_| {}).await
}

pub async fn gateway_with(
    simulator: &Simulator,
    port: u16,
    change: impl FnOnce(&mut Settings),
) -> RunningGateway {
    let mut settings = Settings::new(EnterpriseManagerSettings::new(
        simulator.url().parse().unwrap(),
        r"TECH\gateway".to_owned(),
        PasswordSource::Value("simulated".into()),
    ));
    settings.listen.set_port(port);
    settings.admin_listen.set_port(0);
    settings.lame_duck = Duration::ZERO;
    settings.watch.interval = Duration::from_millis(20);
    settings.watch.longest_interval = Duration::from_millis(20);
    change(&mut settings);
    serve::start(settings).await.unwrap()
}

/// Ends it without a GOAWAY, and waits until its port is free.
pub async fn kill(gateway: RunningGateway) {
    let address = gateway.address();
    drop(gateway);
    let freed = async { while tokio::net::TcpStream::connect(address).await.is_ok() {} };
    timeout(SOON, freed).await.unwrap();
}

pub fn server(gateway: &RunningGateway) -> String {
    format!("--server=http://{}", gateway.address())
}

async fn next_line<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>) -> Option<String> {
    timeout(SOON, lines.next_line()).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_exit_code_says_how_the_run_went_or_why_that_is_not_known() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let gateway = gateway(&simulator, 0).await;
    let server = server(&gateway);
    let warning = "5e550000-0000-4000-8000-000000000001";
    let stopped = "5e550000-0000-4000-8000-000000000002";
    canned(&simulator, "session-warning.xml", warning);
    canned(&simulator, "session-stopped-none.xml", stopped);
    for (id, expected, told) in [
        (FINISHED, 0, "stopped: success, after 3m 54s"),
        (warning, 1, "stopped: warning"),
        (FAILED, 2, "stopped: failed"),
        (stopped, 3, "stopped: none yet"),
    ] {
        let (code, out, err) = run(&mut program(&["watch", id, &server])).await;
        assert_eq!((code, err.as_str()), (expected, ""), "{out}");
        assert_eq!(out.lines().count(), 2, "{out}");
        assert!(out.lines().last().unwrap().contains(told), "{out}");
    }
    for (arguments, expected, told) in [
        (vec![UNKNOWN, &server], 66, "SESSION_NOT_FOUND"),
        (vec![RUNNING_SESSION_ID, &server, "--timeout=300ms"], 75, "--timeout"),
        (vec![RUNNING_SESSION_ID, "--server=http://127.0.0.1:9"], 69, "no gateway answers"),
    ] {
        let (code, _, err) = run(program(&["watch"]).args(&arguments)).await;
        assert_eq!(code, expected, "{err}");
        assert!(err.contains(told), "{err}");
    }
}

#[tokio::test]
async fn each_change_is_printed_on_a_line() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let gateway = gateway(&simulator, 0).await;
    let server = server(&gateway);
    let change = |percent: &str| {
        canned_with(&simulator, "session-running.xml", RUNNING_SESSION_ID, percent);
    };
    change("12");
    let mut plain = program(&["watch", RUNNING_SESSION_ID, &server]);
    let mut plain = plain.spawn().unwrap();
    let mut json = program(&["watch", RUNNING_SESSION_ID, &server, "--json"]);
    let mut json = json.spawn().unwrap();
    let (mut lines, mut objects) = (lines(plain.stdout.take()), lines(json.stdout.take()));
    let heading = next_line(&mut lines).await.unwrap();
    assert!(heading.starts_with("Replication Job 1@"), "{heading}");
    assert!(heading.ends_with(" on enterprise01.tech.local"), "{heading}");
    let progress = async |object: Option<String>| {
        let json: serde_json::Value = serde_json::from_str(&object.unwrap()).unwrap();
        json["snapshot"]["replicaSession"]["progressPercent"].clone()
    };
    for percent in [12, 30, 65] {
        change(&percent.to_string());
        let line = next_line(&mut lines).await.unwrap();
        assert!(line.contains(&format!(" {percent} %  working, for")), "{line}");
        assert_eq!(progress(next_line(&mut objects).await).await, percent);
    }
    canned(&simulator, "session-success-retry.xml", RUNNING_SESSION_ID);
    let line = next_line(&mut lines).await.unwrap();
    assert!(line.contains("100 %  stopped: success"), "{line}");
    assert_eq!(progress(next_line(&mut objects).await).await, 100);
    assert_eq!(next_line(&mut lines).await, None);
    for mut child in [plain, json] {
        let status = timeout(SOON, child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(0));
    }
}

#[tokio::test]
async fn watch_leaves_a_gateway_that_hangs_when_two_heartbeats_are_missing() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    canned(&simulator, "session-running.xml", RUNNING_SESSION_ID);
    let often = ["--em-allow-plaintext", "--watch-heartbeat=1s", "--watch-interval=1s"];
    let (serve, address) = serving(&simulator.url(), &often).await;
    let server = format!("--server=http://{address}");
    let mut watch = program(&["watch", RUNNING_SESSION_ID, &server]).spawn().unwrap();
    let (mut out, mut err) = (lines(watch.stdout.take()), lines(watch.stderr.take()));
    after(&mut out, " 42 %  working").await;

    // Its connections stay, and the kernel takes new ones.
    signal(&serve, "STOP").await;
    let began = Instant::now();
    let told = next_line(&mut err).await.unwrap();
    let expected = "nothing heard for 7 s, although the gateway promised a sign of life every 1 s; \
                    watching again";
    assert_eq!(told, expected);
    assert!(began.elapsed() > Duration::from_secs(5), "{:?}", began.elapsed());

    signal(&serve, "CONT").await;
    canned(&simulator, "session-success-retry.xml", RUNNING_SESSION_ID);
    after(&mut out, "stopped: success").await;
    let status = timeout(SOON, watch.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn watch_rides_out_gateway_restarts_and_outages() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let first = gateway(&simulator, 0).await;
    let port = first.address().port();
    let change = |percent: &str| {
        canned_with(&simulator, "session-running.xml", RUNNING_SESSION_ID, percent);
    };
    change("12");
    let mut watch = program(&["watch", RUNNING_SESSION_ID, &server(&first)]).spawn().unwrap();
    let (mut out, mut err) = (lines(watch.stdout.take()), lines(watch.stderr.take()));
    next_line(&mut out).await.unwrap();
    next_line(&mut out).await.unwrap();

    first.stop().await;
    after(&mut err, "watching again").await;
    let second = gateway(&simulator, port).await;
    change("30");
    after(&mut out, " 30 %  working").await;

    simulator.set_faults(["503".parse().unwrap()]);
    after(&mut out, "EM_UNAVAILABLE").await;
    simulator.set_faults([]);
    after(&mut out, " 30 %  working").await;

    kill(second).await;
    after(&mut err, "watching again").await;
    let _third = gateway(&simulator, port).await;
    canned(&simulator, "session-success-retry.xml", RUNNING_SESSION_ID);
    after(&mut out, "stopped: success").await;
    let status = timeout(SOON, watch.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn watch_and_follow_outlast_whatever_em_answers_to_a_gateway_that_has_restarted() {
    for fault in ["500", "403"] {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let first = gateway(&simulator, 0).await;
        let port = first.address().port();
        let server = server(&first);
        let mut watch = program(&["watch", RUNNING_SESSION_ID, &server]).spawn().unwrap();
        let mut follow = program(&["follow", &server]).spawn().unwrap();
        let (mut out, mut err) = (lines(watch.stdout.take()), lines(watch.stderr.take()));
        let mut followed = lines(follow.stdout.take());
        for lines in [&mut out, &mut followed] {
            next_line(lines).await.unwrap();
        }
        simulator.set_faults([fault.parse().unwrap()]);
        first.stop().await;
        let _second = gateway_with(&simulator, port, |_| {}).await;
        after(&mut followed, "  outage  ").await;
        after(&mut err, "Enterprise Manager ").await;
        simulator.set_faults([]);
        canned(&simulator, "session-warning.xml", RUNNING_SESSION_ID);
        after(&mut out, "stopped: warning").await;
        after(&mut followed, "  recovered  ").await;
        follow.kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_gateway_that_refuses_the_first_watch_for_now_is_asked_again() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let gateway = gateway_with(&simulator, 0, |settings| settings.calls.max_watches = 1).await;
    let server = server(&gateway);
    let watch = || program(&["watch", RUNNING_SESSION_ID, &server]).spawn().unwrap();
    let mut first = watch();
    next_line(&mut lines(first.stdout.take())).await.unwrap();
    let mut second = watch();
    let remark = next_line(&mut lines(second.stderr.take())).await.unwrap();
    assert!(remark.ends_with("; watching again"), "{remark}");
    first.kill().await.unwrap();
    let heading = next_line(&mut lines(second.stdout.take())).await.unwrap();
    assert!(heading.starts_with("Replication Job 1@"), "{heading}");
    second.kill().await.unwrap();
}

#[tokio::test]
async fn a_gateway_that_is_away_is_told_once_and_that_it_is_back() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    canned(&simulator, "session-running.xml", RUNNING_SESSION_ID);
    let first = gateway_with(&simulator, 0, |settings| settings.calls.max_watches = 0).await;
    let (port, server) = (first.address().port(), server(&first));
    let mut children =
        [&["watch", RUNNING_SESSION_ID, &server][..], &["follow", &server, "--json"]]
            .map(|arguments| program(arguments).spawn().unwrap());
    let metrics = format!("http://{}/metrics", first.admin_address());
    let refused = async || {
        let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
        let name = "gateway_call_failures_total{reason=\"OVERLOADED\"} ";
        let count = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        count.parse::<u32>().unwrap()
    };
    let both = async { while refused().await < 7 {} };
    timeout(SOON, both).await.unwrap();
    first.stop().await;
    let _second = gateway(&simulator, port).await;
    for child in &mut children {
        let mut err = lines(child.stderr.take());
        let mut told = Vec::new();
        while !told.last().is_some_and(|line: &String| line.starts_with("the gateway answers")) {
            told.push(next_line(&mut err).await.unwrap());
        }
        let refused = told.iter().filter(|line| line.starts_with("Too many open watches"));
        assert_eq!(refused.count(), 1, "{told:?}");
        assert!(told[0].ends_with("; watching again"), "{told:?}");
        child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_ends_because_of_its_age_is_not_told() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    canned(&simulator, "session-running.xml", RUNNING_SESSION_ID);
    let gateway = gateway_with(&simulator, 0, |settings| {
        settings.listener.max_connection_age = Duration::from_millis(200);
    })
    .await;
    let server = server(&gateway);
    let [mut watch, mut follow] =
        [&["watch", RUNNING_SESSION_ID, &server][..], &["follow", &server]]
            .map(|arguments| program(arguments).spawn().unwrap());
    let metrics = format!("http://{}/metrics", gateway.admin_address());
    let begun = async |method: &str| {
        let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
        let is_count =
            |line: &&str| line.starts_with("grpc_server_started_total") && line.contains(method);
        let line = text.lines().find(is_count).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    let both = async {
        for method in ["\"Watch\"", "\"WatchSessions\""] {
            while begun(method).await < 3 {}
        }
    };
    timeout(SOON, both).await.unwrap();
    canned(&simulator, "session-success-retry.xml", RUNNING_SESSION_ID);
    after(&mut lines(watch.stdout.take()), "stopped: success").await;
    follow.kill().await.unwrap();
    for child in [watch, follow] {
        let output = timeout(SOON, child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

#[tokio::test]
async fn a_watch_that_nobody_reads_any_longer_ends_although_the_run_goes_on() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let gateway = gateway(&simulator, 0).await;
    canned(&simulator, "session-running.xml", RUNNING_SESSION_ID);
    for form in [None, Some("--json")] {
        let mut watch = program(&["watch", RUNNING_SESSION_ID, &server(&gateway)]);
        let mut watch = watch.args(form).spawn().unwrap();
        let mut out = lines(watch.stdout.take());
        next_line(&mut out).await.unwrap();
        drop(out);
        let end = timeout(SOON, watch.wait_with_output()).await.unwrap().unwrap();
        let err = String::from_utf8(end.stderr).unwrap();
        assert_eq!(end.status.code(), Some(73), "{err}");
        assert!(err.contains("nobody reads standard output"), "{err}");
    }
}
