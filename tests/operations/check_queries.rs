//! What `check` says of the queries for several sessions: those that read them together, and those for followers.

use simulator::{Canned, Fault, Options, Simulator};

use super::{
    check::check,
    followed_sessions::{ended, id},
};

/// The line of this step.
fn line_of(step: &str, out: &str) -> String {
    let line = out.lines().find(|line| line.split(' ').nth(1) == Some(step));
    line.unwrap_or_else(|| panic!("{out}")).to_owned()
}

/// fails the check.
async fn batch_line(simulator: &Simulator, arguments: &[&str]) -> String {
    let (code, out) = check(&simulator.url(), arguments).await;
    assert_eq!(code, 0, "{out}");
    line_of("batch", &out)
}

#[tokio::test]
async fn whether_sessions_will_be_read_together_is_reported() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let line = batch_line(&simulator, &[]).await;
    assert!(line.starts_with("✓ batch     sessions will be read together"), "{line}");
    assert!(line.contains("a query for 64"), "{line}");
    let line = batch_line(&simulator, &["--em-batch=1"]).await;
    assert!(line.starts_with("– batch     switched off"), "{line}");
    simulator.set_faults(["query-latency=500ms".parse::<Fault>().unwrap()]);
    let line = batch_line(&simulator, &["--em-batch=2"]).await;
    assert!(line.starts_with("! batch     sessions will be read one by one"), "{line}");
    assert!(line.contains("takes longer") && line.contains("or its database"), "{line}");
    assert!(!line.contains("proxy"), "{line}");
}

#[tokio::test]
async fn what_a_slow_query_means_for_calls_is_reported() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    // 64 single reads take 800 ms, eight at a time.
    for (latency, is_sooner) in [("350ms", true), ("1500ms", false)] {
        let faults = ["latency=100ms".to_owned(), format!("query-latency={latency}")];
        simulator.set_faults(faults.map(|fault| fault.parse::<Fault>().unwrap()));
        let line = batch_line(&simulator, &[]).await;
        assert!(line.starts_with("✓ batch     sessions will be read together"), "{line}");
        assert!(line.contains("or more wait: it takes as long as so many single reads"), "{line}");
        assert_eq!(line.contains("is answered no sooner"), !is_sooner, "{line}");
    }
}

/// The line of the step that sends the query of followers. Nothing that it finds fails the check.
async fn follow_line(simulator: &Simulator) -> String {
    let (code, out) = check(&simulator.url(), &[]).await;
    assert_eq!(code, 0, "{out}");
    line_of("follow", &out)
}

#[tokio::test]
async fn whether_sessions_can_be_followed_is_reported() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let line = follow_line(&simulator).await;
    assert!(line.starts_with("✓ follow    sessions can be followed: a query for"), "{line}");
    assert!(line.contains(" finds 1 ("), "{line}");
    for fault in ["alternatives=400", "alternatives=403,html", "alternatives=501"] {
        simulator.set_faults([fault.parse::<Fault>().unwrap()]);
        let line = follow_line(&simulator).await;
        assert!(
            line.starts_with("! follow    sessions can be followed, with two queries"),
            "{line}"
        );
        assert!(line.contains(" → that works, with more requests"), "{line}");
    }
    simulator.set_faults(["query-latency=2s".parse::<Fault>().unwrap()]);
    let (_, out) = check(&simulator.url(), &["--step-timeout=1s"]).await;
    assert!(out.contains("– follow    not possible without a list"), "{out}");
}

#[tokio::test]
async fn two_findings_have_a_remedy_each_and_are_reported_once() {
    let simulator = Simulator::start(Options { running: 3, ..Options::default() }).await.unwrap();
    let unreadable = format!("unreadable={}", simulator::RUNNING_SESSION_ID);
    simulator.set_faults(["alternatives=400", &unreadable].map(|it| it.parse::<Fault>().unwrap()));
    let (_, out) = check(&simulator.url(), &[]).await;
    let line = line_of("follow", &out);
    assert!(line.contains("told nothing of 1 that cannot be read"), "{line}");
    assert!(
        line.contains("; for what cannot be read, look for a proxy that changes answers; "),
        "{line}"
    );
    assert_eq!(line.matches("check --report").count(), 1, "{line}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_followed_is_told() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    // As from a proxy that drops the filter.
    let target = "/api/query?type=ReplicaJobSession&format=Entities&filter=State%3D%3DStopped&sortDesc=CreationTime&pageSize=1";
    let page = simulator::document(Options::default(), target).unwrap();
    simulator.answer_query_with(Canned::xml(page));
    let line = follow_line(&simulator).await;
    assert!(line.starts_with("! follow    sessions cannot be followed: "), "{line}");
    assert!(line.contains("WatchSessions fails"), "{line}");
}

#[tokio::test]
async fn a_field_that_differs_in_a_query_is_named() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let target = format!("/api/replicaSessions/{}?format=Entity", simulator::RUNNING_SESSION_ID);
    let document = simulator::document(Options::default(), &target).unwrap();
    let document = String::from_utf8(document).unwrap();
    let changed = document.replace("<IsRetry>false<", "<IsRetry>true<");
    assert_ne!(document, changed);
    simulator.answer_with(simulator::RUNNING_SESSION_ID, Canned::xml(changed));
    let line = batch_line(&simulator, &[]).await;
    assert!(line.starts_with("! batch "), "{line}");
    assert!(line.contains("IsRetry → set --em-batch 1"), "{line}");
}

#[tokio::test]
async fn an_address_that_is_too_long_for_a_proxy_is_told_with_the_size_that_is_not() {
    let options = Options { longest_target: 2000, ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let line = batch_line(&simulator, &[]).await;
    assert!(line.contains("a query for 64 sessions:"), "{line}");
    assert!(line.contains("set --em-batch 16, or let"), "{line}");
    let line = batch_line(&simulator, &["--em-batch=16"]).await;
    assert!(line.starts_with("✓ batch "), "{line}");
}

#[tokio::test]
async fn all_pages_are_read_as_for_followers() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for number in 0..1500 {
        simulator.set_session(ended(number, 60, "Success"));
    }
    let line = follow_line(&simulator).await;
    assert!(line.starts_with("✓ follow    sessions can be followed: "), "{line}");
    assert!(line.contains(" finds 1501 ("), "{line}");
    for number in 1500..2001 {
        simulator.set_session(ended(number, 60, "Success"));
    }
    let line = follow_line(&simulator).await;
    assert!(line.starts_with("! follow    more than 2,000 sessions run or have ended"), "{line}");
    assert!(
        line.contains("(TOO_MANY_SESSIONS) → callers have to follow several narrower"),
        "{line}"
    );
}

#[tokio::test]
async fn a_session_that_cannot_be_read_is_told_and_does_not_keep_others_from_being_followed() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    for number in 0..3 {
        simulator.set_session(ended(number, 60, "Success"));
    }
    // A list of the newest session fails if that is the one. Followers do not notice more than they have to.
    let newest = simulator::RUNNING_SESSION_ID;
    let another = &id(1);
    for (session, how, code, unreadable) in [
        (newest, "", 70, Some("<Progress> has an impossible value")),
        (newest, ",nameless", 70, Some("its UID is missing")),
        (another, "", 0, Some("<Progress> has an impossible value")),
        (another, ",row", 0, None),
    ] {
        let fault = format!("unreadable={session}{how}");
        simulator.set_faults([fault.parse::<Fault>().unwrap()]);
        let (exit_code, out) = check(&simulator.url(), &[]).await;
        assert_eq!(exit_code, code, "{out}");
        let line = line_of("follow", &out);
        let mark = if unreadable.is_some() { '!' } else { '✓' };
        assert!(
            line.starts_with(&format!("{mark} follow    sessions can be followed: ")),
            "{line}"
        );
        assert!(line.contains(" finds 4 ("), "{line}");
        let told = unreadable.map(|why| format!("told nothing of 1 that cannot be read: {why}"));
        assert!(line.contains(&told.unwrap_or_default()), "{line}");
    }
}
