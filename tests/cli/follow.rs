//! `follow` tells of every run that matches, through lost connections, and says what it may have missed.

use jiff::Timestamp;
use replica_session_gateway::serve::RunningGateway;
use serde_json::Value;
use simulator::{Options, Session, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    followed_sessions::{ended, id, running},
    watch::{gateway, gateway_with, server},
    *,
};

const JOB: &str = "--job-name=Followed Job";

async fn simulator() -> Simulator {
    Simulator::start(Options { running: 0, ..Options::default() }).await.unwrap()
}

/// The columns of a line but the first, which is a time.
fn columns(line: &str) -> Vec<String> {
    let columns = line.split("  ").map(str::trim).filter(|column| !column.is_empty());
    let mut columns = columns.map(str::to_owned);
    let time = columns.next().unwrap();
    let time = time.strip_suffix(" UTC").unwrap();
    assert!(format!("{}Z", time.replace(' ', "T")).parse::<Timestamp>().is_ok(), "{line}");
    columns.collect()
}

async fn next_line<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>) -> String {
    timeout(SOON, lines.next_line()).await.unwrap().unwrap().expect("a line")
}

async fn next_columns<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>) -> Vec<String> {
    columns(&next_line(lines).await)
}

async fn exit_code(mut child: Child) -> Option<i32> {
    timeout(SOON, child.wait()).await.unwrap().unwrap().code()
}

#[tokio::test]
async fn each_change_of_any_session_is_a_line_or_a_json_object() {
    let simulator = simulator().await;
    let gateway = gateway(&simulator, 0).await;
    let server = server(&gateway);
    simulator.set_session(running(1, 10));
    let mut plain = program(&["follow", &server, JOB]).spawn().unwrap();
    let mut json = program(&["follow", &server, JOB, "--json"]).spawn().unwrap();
    let (mut out, mut objects) = (lines(plain.stdout.take()), lines(json.stdout.take()));
    let job = "Followed Job".to_owned();
    let line = |what: &str, state: &str, result: &str, progress: &str, number| {
        [what, state, result, progress, "Replica", &id(number), &job].map(str::to_owned).to_vec()
    };
    let appeared = line("appeared", "working", "none yet", "10 %", 1);
    assert_eq!(next_columns(&mut out).await, appeared);
    let object = async |objects: &mut _| -> Value {
        serde_json::from_str(&next_line(objects).await).unwrap()
    };
    let first = object(&mut objects).await;
    assert_eq!(first["change"]["kinds"][0], "KIND_APPEARED");
    assert!(object(&mut objects).await["current"]["readTime"].is_string());

    simulator.set_session(running(1, 20));
    let changed = line("changed", "working", "none yet", "20 %", 1);
    assert_eq!(next_columns(&mut out).await, changed);
    assert_eq!(object(&mut objects).await["change"]["replicaSession"]["progressPercent"], 20);
    simulator.set_session(ended(2, 1, "Warning"));
    let both = line("appeared, ended", "stopped", "warning", "100 %", 2);
    assert_eq!(next_columns(&mut out).await, both);
    assert_eq!(object(&mut objects).await["change"]["kinds"][1], "KIND_ENDED");
    simulator.remove_session(&id(1));
    let removed = line("removed", "working", "none yet", "20 %", 1);
    assert_eq!(next_columns(&mut out).await, removed);
    assert_eq!(object(&mut objects).await["change"]["kinds"][0], "KIND_REMOVED");

    for child in [plain, json] {
        // Not SIGINT, which whoever starts the tests in the background has them ignore.
        signal(&child, "TERM").await;
        assert_eq!(exit_code(child).await, None, "ended by the signal");
    }
}

#[tokio::test]
async fn names_from_outside_do_not_control_the_terminal() {
    let simulator = simulator().await;
    let gateway = gateway(&simulator, 0).await;
    let mut hostile = running(1, 10);
    hostile.job.name = "\u{9b}2J Job\nof  nobody".to_owned();
    hostile.job_type = "\u{9b}31m".to_owned();
    simulator.set_session(hostile);
    let follow = ["follow", &server(&gateway), "--timeout=2s"];
    let (code, out, _) = run(&mut program(&follow)).await;
    assert_eq!(code, 0);
    assert!(!out.chars().any(|letter| letter.is_control() && letter != '\n'), "{out:?}");
    assert_eq!(out.lines().count(), 1, "{out:?}");
    assert!(out.contains("\u{fffd}2J Job\u{fffd}of  nobody"), "{out:?}");
}

#[tokio::test]
async fn only_failures_are_told_to_those_who_want_only_these() {
    let simulator = simulator().await;
    let gateway = gateway(&simulator, 0).await;
    simulator.set_session(running(1, 10));
    let fails = Session { result: "Failed".to_owned(), ..running(5, 50) };
    simulator.set_session(fails.clone());
    let arguments = ["follow", &server(&gateway), JOB, "--failed", "--changes=appeared,ended"];
    let mut follow = program(&arguments).spawn().unwrap();
    let mut out = lines(follow.stdout.take());
    assert_eq!(next_columns(&mut out).await[..3], ["appeared", "working", "failed"]);
    simulator.set_session(Session { progress: 60, ..fails });
    for number in 2..=4 {
        simulator.set_session(ended(number, 1, if number == 3 { "Success" } else { "Failed" }));
    }
    let mut told = Vec::new();
    for _ in 0..2 {
        let columns = next_columns(&mut out).await;
        assert_eq!((&*columns[0], &*columns[2]), ("appeared, ended", "failed"));
        told.push(columns[5].clone());
    }
    told.sort();
    assert_eq!(told, [id(2), id(4)]);
    simulator.set_session(ended(1, 1, "Failed"));
    assert_eq!(next_columns(&mut out).await[5], id(1));
}

#[tokio::test]
async fn a_follower_whose_gateway_dies_is_told_each_end_once() {
    let simulator = simulator().await;
    let mut gateway: Option<RunningGateway> = Some(gateway(&simulator, 0).await);
    let port = gateway.as_ref().unwrap().address().port();
    for number in 0..30 {
        simulator.set_session(running(number, 10));
    }
    let server = server(gateway.as_ref().unwrap());
    let mut follow = program(&["follow", &server, JOB]).spawn().unwrap();
    let (mut out, mut err) = (lines(follow.stdout.take()), lines(follow.stderr.take()));
    for _ in 0..30 {
        assert_eq!(next_columns(&mut out).await[0], "appeared");
    }
    // A part of the ends comes before the gateway dies, a part while it is dead, a part afterwards.
    let mut told = Vec::new();
    for round in 0..3 {
        let numbers = 10 * round..10 * (round + 1);
        for number in numbers.clone().take(3) {
            simulator.set_session(ended(number, 1, "Success"));
        }
        for _ in 0..3 {
            told.push(next_columns(&mut out).await);
        }
        watch::kill(gateway.take().unwrap()).await;
        after(&mut err, "; watching again").await;
        for number in numbers.clone().skip(3).take(4) {
            simulator.set_session(ended(number, 1, "Failed"));
        }
        gateway = Some(watch::gateway(&simulator, port).await);
        for _ in 0..4 {
            told.push(next_columns(&mut out).await);
        }
        for number in numbers.skip(7) {
            simulator.set_session(ended(number, 1, "Warning"));
        }
        for _ in 0..3 {
            told.push(next_columns(&mut out).await);
        }
    }
    assert!(told.iter().all(|columns| columns[0].starts_with("ended")), "{told:?}");
    let mut ids: Vec<_> = told.iter().map(|columns| columns[5].clone()).collect();
    ids.sort();
    assert_eq!(ids, (0..30).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_may_be_missing_is_said_when_the_gateway_no_longer_takes_its_token() {
    let simulator = simulator().await;
    let first = gateway(&simulator, 0).await;
    let port = first.address().port();
    for number in 1..=3 {
        simulator.set_session(running(number, 10));
    }
    let mut follow = program(&["follow", &server(&first), JOB]).spawn().unwrap();
    let mut json = program(&["follow", &server(&first), JOB, "--json"]).spawn().unwrap();
    let (mut out, mut err) = (lines(follow.stdout.take()), lines(follow.stderr.take()));
    let (mut objects, mut remarks) = (lines(json.stdout.take()), lines(json.stderr.take()));
    for _ in 0..3 {
        assert_eq!(next_columns(&mut out).await[0], "appeared");
    }
    after(&mut objects, "\"current\"").await;
    first.stop().await;
    simulator.set_session(ended(1, 1, "Failed"));
    simulator.set_session(running(2, 20));
    let _second = gateway_with(&simulator, port, |settings| {
        settings.page_token_key = Some(vec![7; 32].into());
    })
    .await;
    after(&mut err, "does not accept its token").await;
    let missed = next_line(&mut out).await;
    assert!(missed.contains("  missed  "), "{missed}");
    assert!(missed.contains("the ends of runs may be missing here"), "{missed}");
    assert!(missed.contains(" --ended-from 2") && missed.contains(" --ended-before 2"), "{missed}");
    // What is told already is not told again.
    assert_eq!(next_columns(&mut out).await[..4], ["changed", "working", "none yet", "20 %"]);
    let gone = next_columns(&mut out).await;
    assert_eq!(gone[..4], ["no longer runs", "unknown", "unknown", "-"]);
    assert_eq!(gone[5], id(1));

    let mut object =
        async || -> Value { serde_json::from_str(&next_line(&mut objects).await).unwrap() };
    let missed = object().await;
    let since: Timestamp =
        missed["missed"]["endTime"]["startTime"].as_str().unwrap().parse().unwrap();
    let hours = Timestamp::now().duration_since(since).as_hours();
    assert_eq!(hours, 24, "as far as the gateway looks back: {missed}");
    assert_eq!(object().await["change"]["replicaSession"]["id"], id(2));
    let gone = object().await;
    assert_eq!(gone["noLongerRuns"]["replicaSession"]["id"], id(1), "{gone}");
    let read_at = gone["noLongerRuns"]["readTime"].as_str().unwrap();
    assert!(read_at.parse::<Timestamp>().unwrap() > since, "{gone}");
    assert!(object().await["current"].is_object());
    after(&mut remarks, "the ends of runs may be missing here").await;

    // Not before both have begun anew: whoever does so later is told of it as part of what is known.
    simulator.set_session(ended(3, 1, "Success"));
    let ended = next_columns(&mut out).await;
    assert_eq!((&*ended[0], &*ended[5]), ("ended", &*id(3)));
}

#[tokio::test]
async fn what_may_be_missing_reaches_to_when_em_answers_the_watch_that_begins_anew() {
    let simulator = simulator().await;
    let first = gateway(&simulator, 0).await;
    let port = first.address().port();
    simulator.set_session(running(1, 10));
    let mut follow = program(&["follow", &server(&first), JOB]).spawn().unwrap();
    let mut out = lines(follow.stdout.take());
    assert_eq!(next_columns(&mut out).await[0], "appeared");
    simulator.set_faults(["503".parse().unwrap()]);
    assert_eq!(next_columns(&mut out).await[0], "outage");
    first.stop().await;
    let _second = gateway_with(&simulator, port, |settings| {
        settings.page_token_key = Some(vec![7; 32].into());
        settings.watch.heartbeat = Duration::from_millis(50);
    })
    .await;
    after(&mut lines(follow.stderr.take()), "does not accept its token").await;
    // Nobody is told these, since the watch that begins anew begins with what runs.
    simulator.set_session(ended(1, 1, "Failed"));
    simulator.set_session(ended(2, 1, "Failed"));
    let em_answers = Timestamp::now();
    simulator.set_faults([]);
    let missed = next_line(&mut out).await;
    assert!(missed.contains("  missed  "), "{missed}");
    let (_, before) = missed.rsplit_once(" --ended-before ").unwrap();
    assert!(before.parse::<Timestamp>().unwrap() > em_answers, "{missed} {em_answers}");
    assert_eq!(next_columns(&mut out).await[0], "no longer runs");
    let recovered = next_columns(&mut out).await;
    assert_eq!(recovered[0], "recovered");
    assert!(recovered[1].ends_with("what may be missing is said above"), "{recovered:?}");
}

#[tokio::test]
async fn an_outage_and_its_end_are_a_line_each() {
    let simulator = simulator().await;
    let gateway = gateway(&simulator, 0).await;
    simulator.set_session(running(1, 10));
    let mut follow = program(&["follow", &server(&gateway), JOB]).spawn().unwrap();
    let mut out = lines(follow.stdout.take());
    next_line(&mut out).await;
    let before = simulator.requests().len();
    simulator.set_faults(["503".parse().unwrap()]);
    let outage = next_columns(&mut out).await;
    assert_eq!(outage[0], "outage");
    assert!(outage[1].ends_with("(EM_UNAVAILABLE)"), "{outage:?}");
    // Further attempts fail.
    let many = async {
        while simulator.requests().len() < before + 8 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, many).await.unwrap();
    simulator.set_faults([]);
    assert_eq!(next_columns(&mut out).await[0], "recovered");
    simulator.set_session(ended(1, 1, "Success"));
    assert_eq!(next_columns(&mut out).await[0], "ended");
}

#[tokio::test]
async fn the_exit_code_says_why_following_has_ended() {
    let simulator = simulator().await;
    let gateway = gateway(&simulator, 0).await;
    let server = server(&gateway);
    for (arguments, expected, told) in [
        (vec![&*server, "--changes=began"], 64, "use appeared, changed, ended, left or removed"),
        (vec![&server, "--result=bad"], 64, "use failed, warning, success or none"),
        (vec![&server, "--job=fs02"], 64, "use --job-name"),
        (vec![&server, "--job-name=a\nb"], 64, "--job-name must not have control"),
        (vec![&server, "--timeout=1s"], 0, ""),
        (vec!["--server=http://127.0.0.1:9"], 69, "no gateway answers"),
    ] {
        let (code, out, err) = run(program(&["follow"]).args(&arguments)).await;
        assert_eq!((code, out.as_str()), (expected, ""), "{arguments:?}: {err}");
        assert!(err.contains(told), "{err}");
    }
    simulator.set_faults(["latency=5s".parse().unwrap()]);
    // With a filter of which the gateway knows nothing yet.
    let other = ["follow", &server, "--retry=true", "--timeout=300ms"];
    let (code, _, err) = run(&mut program(&other)).await;
    assert_eq!(code, 75, "{err}");
    assert!(err.contains("within --timeout"), "{err}");
    simulator.set_faults([]);
    for number in 0..2001 {
        simulator.set_session(running(number, 10));
    }
    let (code, _, err) = run(&mut program(&["follow", &server, JOB])).await;
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("TOO_MANY_SESSIONS") && err.contains("narrower"), "{err}");
}

#[tokio::test]
async fn a_filter_that_has_come_to_match_too_many_is_no_wrong_argument() {
    let simulator = simulator().await;
    let gateway = gateway(&simulator, 0).await;
    simulator.set_session(running(1, 10));
    let mut follow = program(&["follow", &server(&gateway), JOB]).spawn().unwrap();
    let (mut out, mut err) = (lines(follow.stdout.take()), lines(follow.stderr.take()));
    assert_eq!(next_columns(&mut out).await[0], "appeared");
    for number in 2..2002 {
        simulator.set_session(running(number, 10));
    }
    let drained = tokio::spawn(async move { while let Ok(Some(_)) = out.next_line().await {} });
    after(&mut err, "TOO_MANY_SESSIONS").await;
    assert_eq!(exit_code(follow).await, Some(75));
    drained.await.unwrap();
}

#[tokio::test]
async fn following_ends_when_nobody_reads_and_fails_when_nothing_can_be_written() {
    let simulator = simulator().await;
    let gateway = gateway(&simulator, 0).await;
    simulator.set_session(running(1, 10));
    for form in [None, Some("--json")] {
        let mut follow = program(&["follow", &server(&gateway)]).args(form).spawn().unwrap();
        let mut out = lines(follow.stdout.take());
        next_line(&mut out).await;
        drop(out);
        // There is nothing more to write.
        assert_eq!(exit_code(follow).await, Some(0), "{form:?}");
    }

    let follow = format!("exec {PROGRAM} follow {} > /dev/full", server(&gateway));
    let (code, _, err) = run(Command::new("sh").args(["-c", &follow])).await;
    assert_eq!(code, 73, "{err}");
    assert!(err.starts_with("error: standard output cannot be written to"), "{err}");
}

/// The tables that were drawn on a terminal, each in the place of the one before, and the lines that were left above.
fn drawn(written: &str) -> (Vec<Vec<&str>>, Vec<&str>) {
    let (mut tables, mut above) = (vec![Vec::new()], Vec::new());
    for part in written.split("\x1b[J") {
        let lines = match part.strip_prefix("\x1b[").and_then(|part| part.split_once("A\r")) {
            Some((up, lines)) => {
                assert_eq!(up.parse(), Ok(tables.last().unwrap().len()), "{part:?}");
                lines
            }
            None => part,
        };
        let (table, others): (Vec<_>, Vec<_>) =
            lines.lines().partition(|line| line.ends_with("\x1b[K"));
        above.extend(others);
        tables.push(table.iter().map(|line| line.trim_end_matches("\x1b[K")).collect());
    }
    tables.retain(|table| !table.is_empty());
    (tables, above)
}

#[tokio::test]
async fn a_table_on_a_terminal_stays_within_it_and_is_drawn_in_its_place() {
    let simulator = simulator().await;
    let first = gateway(&simulator, 0).await;
    let port = first.address().port();
    for number in 0..30 {
        simulator.set_session(running(number, 10));
    }
    let follow = format!(
        "stty rows 12 cols 100; exec env --default-signal=INT {PROGRAM} follow {} {JOB:?}",
        server(&first)
    );
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &follow, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("`script`, of the Debian package bsdutils, makes a terminal");
    let mut out = terminal.stdout.take().unwrap();
    let mut bytes = Vec::new();
    let mut shows = async |text: &str| {
        let shown = async {
            while !String::from_utf8_lossy(&bytes).contains(text) {
                assert_ne!(out.read_buf(&mut bytes).await.unwrap(), 0, "{text}");
            }
        };
        timeout(SOON, shown).await.expect(text);
        String::from_utf8(bytes.clone()).unwrap()
    };
    shows("30 running, 0 ended").await;
    simulator.set_session(ended(7, 1, "Failed"));
    shows("29 running, 1 ended").await;
    simulator.set_faults(["503".parse().unwrap()]);
    shows("(EM_UNAVAILABLE)").await;
    simulator.set_faults([]);
    first.stop().await;
    shows("; watching again").await;
    let _second = gateway_with(&simulator, port, |settings| {
        settings.page_token_key = Some(vec![7; 32].into());
    })
    .await;
    shows("the ends of runs may be missing here").await;
    simulator.set_session(running(29, 55));
    shows("  55 %  ").await;
    simulator.set_session(ended(8, 1, "Warning"));
    let written = shows("28 running, 2 ended").await;
    let written = written.rsplit_once("\x1b[J").unwrap().0;
    let (tables, above) = drawn(written);
    for table in &tables {
        assert!(table.len() < 12, "{table:?}");
        assert!(table.iter().all(|line| line.chars().count() < 100), "{table:?}");
    }
    let last = tables.last().unwrap();
    assert!(last[1].starts_with("STATE ") && last[2].starts_with("working  "), "{last:?}");
    assert_eq!(last.last(), Some(&"… and 22 more"), "{last:?}");
    assert!(above.join(" ").contains("use list with the same filter"), "{above:?}");

    terminal.stdin.as_mut().unwrap().write_all(b"\x03").await.unwrap();
    let status = timeout(SOON, terminal.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(130));
}
