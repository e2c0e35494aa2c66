//! One logon session for all calls: renewed when EM ends it, not retried after a rejection.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use replica_session_gateway::{serve, settings::PasswordSource};
use simulator::{Canned, Options};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::support::{
    FINISHED, SOON, Setup, USERNAME, connect, eventually, fault, fixture, get, reason, request,
    send, settings, start, start_with,
};

#[tokio::test]
async fn the_first_call_logs_on_and_all_waiting_calls_share_the_logon() {
    let setup = start().await;
    setup.simulator.set_faults([fault("logon-latency=100ms")]);
    assert_eq!(setup.simulator.counts().connections, 0);
    let calls = (0..50).map(|_| get(&setup.client, FINISHED));
    for answer in join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(setup.simulator.counts().logons_accepted, 1);
}

#[tokio::test]
async fn an_expired_logon_is_renewed_once_and_no_call_fails() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.advance(Duration::from_secs(15 * 60 + 1));
    get(&setup.client, FINISHED).await.unwrap();
    assert_eq!(setup.simulator.counts().logons_accepted, 2);
}

#[tokio::test]
async fn two_hundred_calls_in_flight_at_expiry_share_one_renewal_and_none_fails() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    setup.simulator.set_faults([fault("latency=20ms")]);
    let calls: Vec<_> = (0..200).map(|_| tokio::spawn(get(&setup.client, FINISHED))).collect();
    let simulator = &setup.simulator;
    eventually("calls are at EM", || simulator.counts().in_flight > 0).await;
    simulator.invalidate_tokens();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(simulator.counts().logons_accepted, 2);
}

#[tokio::test]
async fn constantly_expiring_tokens_fail_no_call() {
    let setup = start().await;
    setup.simulator.set_faults([fault("expire=7")]);
    for _ in 0..50 {
        get(&setup.client, FINISHED).await.unwrap();
    }
    // The call that gets the 401 reads twice.
    let logons = setup.simulator.counts().logons_accepted;
    assert!((8..=9).contains(&logons), "{logons}");
}

#[tokio::test]
async fn a_second_401_fails_the_call() {
    let setup = start().await;
    setup.simulator.set_faults([fault("401")]);
    let status = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "EM_CREDENTIALS_REJECTED");
    assert_eq!(setup.simulator.counts().logons_accepted, 2);
}

#[tokio::test]
async fn further_calls_do_not_retry_a_rejected_logon() {
    let setup = start().await;
    setup.simulator.set_password(USERNAME, "another");
    for _ in 0..20 {
        let status = get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(reason(&status), "EM_CREDENTIALS_REJECTED");
    }
    assert_eq!(setup.simulator.counts().logons_rejected, 1);
}

#[tokio::test]
async fn all_calls_that_wait_for_a_rejected_logon_fail_with_it() {
    let setup = start().await;
    setup.simulator.set_password(USERNAME, "another");
    setup.simulator.set_faults([fault("logon-latency=100ms")]);
    let calls = (0..50).map(|_| get(&setup.client, FINISHED));
    for answer in join_all(calls).await {
        assert_eq!(reason(&answer.unwrap_err()), "EM_CREDENTIALS_REJECTED");
    }
    assert_eq!(setup.simulator.counts().logons_rejected, 1);
}

#[tokio::test]
async fn a_rotated_password_file_ends_the_logon_pause_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "old\n").unwrap();
    let setup = start_with(Options::default(), |settings| {
        settings.enterprise_manager.password = PasswordSource::File(file.clone());
    })
    .await;
    let status = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(reason(&status), "EM_CREDENTIALS_REJECTED");

    fs::write(&file, "simulated\r\n").unwrap();
    let answered = async {
        while get(&setup.client, FINISHED).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), answered).await.unwrap();
    assert_eq!(setup.simulator.counts().logons_rejected, 1);
}

#[tokio::test]
async fn the_password_file_is_read_at_each_logon() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "simulated").unwrap();
    let setup = start_with(Options::default(), |settings| {
        settings.enterprise_manager.password = PasswordSource::File(file.clone());
    })
    .await;
    get(&setup.client, FINISHED).await.unwrap();

    fs::write(&file, "rotated\n").unwrap();
    setup.simulator.set_password(USERNAME, "rotated");
    setup.simulator.invalidate_tokens();
    get(&setup.client, FINISHED).await.unwrap();

    // The previous password is used while the file is being replaced.
    fs::remove_file(&file).unwrap();
    setup.simulator.invalidate_tokens();
    get(&setup.client, FINISHED).await.unwrap();
    assert_eq!(setup.simulator.counts().logons_rejected, 0);
}

#[tokio::test]
async fn the_caller_that_started_a_logon_may_leave_without_failing_the_others() {
    let setup = start().await;
    setup.simulator.set_faults([fault("logon-latency=300ms")]);
    let leader = tokio::spawn(get(&setup.client, FINISHED));
    let simulator = &setup.simulator;
    eventually("the logon is at EM", || simulator.counts().in_flight == 1).await;
    let follower = tokio::spawn(get(&setup.client, FINISHED));
    leader.abort();
    follower.await.unwrap().unwrap();
    assert_eq!(simulator.counts().logons_accepted, 1);
}

#[tokio::test]
async fn a_slow_logon_outlives_its_callers_and_its_session_is_used() {
    let setup = start().await;
    setup.simulator.set_faults([fault("logon-latency=700ms")]);
    let mut hasty = request(FINISHED);
    hasty.set_timeout(Duration::from_millis(50));
    send(&setup.client, hasty).await.unwrap_err();
    get(&setup.client, FINISHED).await.unwrap();
    let counts = setup.simulator.counts();
    assert_eq!((counts.logons_accepted, counts.logoffs), (1, 0));
}

#[tokio::test]
async fn a_failed_logon_is_not_repeated_by_every_call_and_all_calls_get_its_reason() {
    let cases = [
        (500, "error-500-recorded.xml", Code::Internal, "EM_INTERNAL_ERROR"),
        (423, "error-400.xml", Code::Internal, "EM_REQUEST_REFUSED"),
        (503, "http-layer-503.html", Code::Unavailable, "EM_UNAVAILABLE"),
        (429, "error-503.xml", Code::Unavailable, "EM_UNAVAILABLE"),
        (200, "error-401.xml", Code::FailedPrecondition, "EM_CREDENTIALS_REJECTED"),
        (200, "web-ui-login.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    ];
    for (status, body, code, expected) in cases {
        let setup = start().await;
        let mut canned = Canned::xml(fixture(body));
        canned.status = status.try_into().unwrap();
        setup.simulator.answer_logon_with(canned);
        let calls = (0..16).map(|_| get(&setup.client, FINISHED));
        for answer in join_all(calls).await {
            let failure = answer.unwrap_err();
            assert_eq!((failure.code(), reason(&failure).as_str()), (code, expected), "{status}");
        }
        let failure = get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!(reason(&failure), expected, "{status}");
        assert_eq!(logons(&setup), 1, "{status} and {body}");
    }
}

#[tokio::test]
async fn callers_are_told_how_long_logons_are_paused() {
    let setup = start().await;
    let mut canned = Canned::new(429_u16.try_into().unwrap(), "");
    canned.headers.insert("retry-after", "30".parse().unwrap());
    setup.simulator.answer_logon_with(canned);
    for _ in 0..2 {
        let failure = get(&setup.client, FINISHED).await.unwrap_err();
        let delay = failure.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!((28..=30).contains(&delay.as_secs()), "{delay:?}");
    }
    assert_eq!(logons(&setup), 1);
}

#[tokio::test]
async fn a_logon_session_without_a_token_is_ended_by_its_id() {
    let setup = start().await;
    let mut canned = Canned::xml(fixture("logon-session.xml"));
    canned.status = 201.try_into().unwrap();
    setup.simulator.answer_logon_with(canned);
    let failure = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(reason(&failure), "NOT_ENTERPRISE_MANAGER");
    let requests = setup.simulator.requests();
    let [_, logoff] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!(logoff.method, "DELETE");
    assert_eq!(logoff.target, "/api/logonSessions/5496707f-c814-47ce-8d6d-110aa03cec03");
    assert!(logoff.headers.contains_key("x-restsvcsessionid"));
}

#[tokio::test]
async fn a_rejection_counts_although_the_page_behind_its_status_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            count.fetch_add(1, Ordering::Relaxed);
            let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nhalf";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let gateway = serve::start(settings(&url)).await.unwrap();
    let client = connect(gateway.address()).await;
    for _ in 0..3 {
        let status = get(&client, FINISHED).await.unwrap_err();
        assert_eq!(reason(&status), "EM_CREDENTIALS_REJECTED");
    }
    assert_eq!(sent.load(Ordering::Relaxed), 1);
    gateway.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_password_file_that_cannot_be_read_to_its_end_stops_neither_calls_nor_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "wrong").unwrap();
    let setup = start_with(Options::default(), |settings| {
        settings.enterprise_manager.password = PasswordSource::File(file.clone());
    })
    .await;
    let status = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(reason(&status), "EM_CREDENTIALS_REJECTED");
    fs::remove_file(&file).unwrap();
    // As a file on a network drive that hangs: nobody writes, so nobody can open it for reading.
    let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(made.success());
    let end = tokio::time::Instant::now() + Duration::from_millis(2500);
    while tokio::time::Instant::now() < end {
        let status = timeout(SOON, get(&setup.client, FINISHED)).await.unwrap().unwrap_err();
        assert_eq!(reason(&status), "EM_CREDENTIALS_REJECTED");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop(setup.client);
    timeout(SOON, setup.gateway.stop()).await.unwrap();
}

/// How often the password has been sent.
fn logons(setup: &Setup) -> usize {
    let requests = setup.simulator.requests();
    requests.iter().filter(|request| request.target.starts_with("/api/sessionMngr/")).count()
}

#[tokio::test]
async fn an_em_that_rejects_its_own_tokens_is_not_flooded_with_logons() {
    let setup = start().await;
    setup.simulator.set_faults([fault("401")]);
    for _ in 0..50 {
        let status = get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!(reason(&status), "EM_CREDENTIALS_REJECTED");
    }
    let logons = setup.simulator.counts().logons_accepted;
    assert!(logons <= 6, "{logons}");
    setup.simulator.set_faults([]);
    let answered = async {
        while get(&setup.client, FINISHED).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), answered).await.unwrap();
}

#[tokio::test]
async fn a_401_only_in_the_body_renews_the_logon_too() {
    let setup = start().await;
    let body = fixture("error-401.xml");
    setup.simulator.answer_with(FINISHED, Canned::xml(body));
    let status = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(reason(&status), "EM_CREDENTIALS_REJECTED");
    assert_eq!(setup.simulator.counts().logons_accepted, 2);
}

#[tokio::test]
async fn a_logon_without_a_session_id_serves_calls() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    // The token of the logon just made, in a response without a body.
    let received = setup.simulator.requests().pop().unwrap();
    let token = received.headers["x-restsvcsessionid"].clone();
    let mut bare = Canned::new(201_u16.try_into().unwrap(), "");
    bare.headers.insert("x-restsvcsessionid", token);
    setup.simulator.answer_logon_with(bare);
    setup.simulator.set_faults([fault("401=1")]);
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn requests_have_the_headers_that_em_needs_and_no_others_that_change_its_response() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    let requests = setup.simulator.requests();
    let [logon, read] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!(logon.target, "/api/sessionMngr/?v=latest");
    assert_eq!(logon.headers["content-length"], "0");
    assert_eq!(logon.headers["authorization"], "Basic VEVDSFxnYXRld2F5OnNpbXVsYXRlZA==");
    assert!(!logon.headers.contains_key("x-restsvcsessionid"));
    assert!(read.headers.contains_key("x-restsvcsessionid"));
    assert!(!read.headers.contains_key("authorization"));
    for request in [logon, read] {
        assert_eq!(request.headers["accept"], "application/xml");
        assert_eq!(request.headers["accept-encoding"], "identity");
        for unwanted in ["cookie", "referer", "proxy-authorization"] {
            assert!(!request.headers.contains_key(unwanted), "{unwanted}");
        }
    }
}

#[tokio::test]
async fn the_logon_session_is_deleted_at_shutdown() {
    let setup = start().await;
    get(&setup.client, FINISHED).await.unwrap();
    drop(setup.client);
    setup.gateway.stop().await;
    assert_eq!(setup.simulator.counts().logoffs, 1);
}
