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
    assert_refused(&mut program(&["tasks", &server, "--vm="]), "--vm must not be empty").await;
    for filter in ["list", "tasks"] {
        let command = [filter, &server, "--job-name=a"];
        let size = with(&command, &["--page-size=-1"]);
        assert_refused(&mut program(&size), "--page-size must not be negative").await;
        let token = with(&command, &["--page-token=nope"]);
        assert_refused(&mut program(&token), "--page-token must be the previous").await;
    }
    let (_, _, err) =
        run(&mut program(&["list", &server, "--since=1h", "--created-before=2h"])).await;
    assert!(err.contains("\n  option  --since to --created-before must"), "{err}");
    assert!(!err.contains("create_time"), "{err}");
}

async fn assert_refused(command: &mut Command, told: &str) {
    let (code, out, err) = run(command).await;
    assert_eq!((code, out.as_str()), (64, ""), "{command:?}: {err}");
    assert!(err.contains(told), "{command:?}: {err}");
}
