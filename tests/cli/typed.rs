//! An error names the option that the person has typed, not another name of it or the field that it becomes.

use super::*;

#[tokio::test]
async fn a_bad_value_is_reported_with_the_option_that_was_typed() {
    for command in ["list", "tasks", "follow"] {
        for (arguments, told) in [
            (&["--since", "nope"][..], "error: --since: \"nope\" is not a time"),
            (&["--since=nope"], "error: --since: \"nope\" is not a time"),
            (&["--created-from=nope"], "error: --created-from: \"nope\" is not a time"),
            (&["--since"], "'--since <TIME>'"),
            (&["--since=1h", "--since=2h"], "'--since <TIME>'"),
            (&["--created-before=nope"], "error: --created-before: "),
            (&["--ended-from=nope"], "error: --ended-from: "),
            (&["--ended-before=nope"], "error: --ended-before: "),
            (&["--job=nope"], "error: --job: "),
            (&["--job-name=x", "--job=nope"], "error: --job: "),
            (&["--backup-server=nope"], "error: --backup-server: "),
            (&["--result=nope"], "error: --result: "),
            (&["--state=nope"], "error: --state: "),
        ] {
            assert_refused(program(&[command]).args(arguments), told).await;
        }
    }
    for (arguments, told) in [
        (&["list", "--timeout=nope"][..], "error: --timeout: "),
        (&["tasks", "--vm=a", "--timeout=nope"], "error: --timeout: "),
        (&["get", FINISHED, "--timeout=nope"], "error: --timeout: "),
        (&["get", FINISHED, "--deadline=nope"], "error: --deadline: "),
        (&["get", FINISHED, "--max-age=nope"], "error: --max-age: "),
        (&["follow", "--timeout=nope"], "error: --timeout: "),
        (&["list", "--since= "], "error: --since: \" \" is not a time"),
        (
            &["list", "--state=running"],
            "use one of starting, working, pausing, resuming, stopping, stopped, idle, ",
        ),
        (&["list", "--deadline=0s"], "error: --deadline: \"0s\" is zero"),
        (&["tasks", "--vm=a", "--timeout=0s"], "error: --timeout: \"0s\" is zero"),
        (&["get", FINISHED, "--deadline=0s"], "error: --deadline: \"0s\" is zero"),
        (&["list", "--page-size=0"], "--page-size: \"0\" is not a whole number from 1 to 1000"),
        (&["tasks", "--vm=a", "--page-size=1001"], "is not a whole number from 1 to 1000"),
        (&["list", "--page-size=-1"], "is not a whole number from 1 to 1000"),
        (&["list", "--server=127.0.0.1:50051"], "--server: has no scheme; write http:// before it"),
        (&["list", "--server=localhost:50051"], "--server: has no scheme; write http:// before it"),
        (&["follow", "--changes=nope"], "error: --changes: "),
    ] {
        assert_refused(&mut program(arguments), told).await;
    }
}

#[tokio::test]
async fn what_the_gateway_says_of_a_field_is_said_of_the_option_that_it_comes_from() {
    let mut demo = program(&["demo"]).spawn().unwrap();
    let address = after(&mut lines(demo.stdout.take()), "Gateway    ").await;
    let server = format!("--server={address}");
    for command in ["list", "tasks", "follow"] {
        for (arguments, told) in [
            (&["--job-name=a\nb"][..], "INVALID_ARGUMENT: --job-name must not have control"),
            (&["--backup-server-name=a\nb"], "--backup-server-name must not have control"),
            (&["--since=1h", "--created-before=2h"], "--since to --created-before must not end"),
            (&["--created-from=now", "--created-before=1h"], "--created-from to --created-before"),
            (&["--ended-from=1h", "--ended-before=2h"], "--ended-from to --ended-before must not"),
            (&["--since=0000-06-01"], "--since must have valid times"),
        ] {
            assert_refused(program(&[command, &server]).args(arguments), told).await;
        }
    }
    let names: Vec<_> = (0..101).map(|number| format!("--vm={number}")).collect();
    assert_refused(program(&["tasks", &server]).args(names), "--vm must not be more than").await;
    let vms = ["tasks", &server, "--vm=a", "--vm=b\nc"];
    assert_refused(&mut program(&vms), ": --vm number 2 must not have control").await;
    assert_refused(&mut program(&["tasks", &server, "--vm=b\nc"]), ": --vm must not have").await;
    for filter in ["list", "tasks"] {
        let command = [filter, &server, "--job-name=a"];
        let token = with(&command, &["--page-token=nope"]);
        assert_refused(&mut program(&token), "--page-token must be the previous").await;
    }
    let (_, _, err) =
        run(&mut program(&["list", &server, "--since=1h", "--created-before=2h"])).await;
    assert_eq!(err.matches("must not end before").count(), 1, "said once: {err}");
    assert!(!err.contains("create_time"), "{err}");
}

#[tokio::test]
async fn an_empty_name_is_refused_since_it_would_match_everything() {
    const TOLD: &str = "must not be empty: leave it out instead";
    for command in ["list", "tasks", "follow"] {
        for option in ["--job-name", "--backup-server-name"] {
            for value in ["", " "] {
                let told = format!("error: {option}: {TOLD}");
                assert_refused(&mut program(&[command, option, value]), &told).await;
            }
        }
    }
    assert_refused(&mut program(&["tasks", "--vm", ""]), &format!("error: --vm: {TOLD}")).await;
    let second = format!("error: --vm number 2: {TOLD}");
    for value in [&["--vm", ""][..], &["--vm="]] {
        let command = [&["tasks", "--vm", "a"], value, &["--vm=b"]].concat();
        assert_refused(&mut program(&command), &second).await;
    }
}

#[tokio::test]
async fn the_help_names_every_state() {
    let (_, help, _) = run(&mut program(&["list", "--help"])).await;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, _, err) = run(&mut program(&["list", "--state=asleep"])).await;
    let (_, states) = err.trim().split_once("use one of ").unwrap();
    assert!(help.contains(&format!("one of these states: {states}")), "{states}: {help}");
}

async fn assert_refused(command: &mut Command, told: &str) {
    let (code, out, err) = run(command).await;
    assert_eq!((code, out.as_str()), (64, ""), "{command:?}: {err}");
    assert!(err.contains(told), "{command:?}: {err}");
}
