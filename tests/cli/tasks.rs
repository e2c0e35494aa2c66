//! Is a virtual machine replicated, when was it last, and why not? `tasks` without a session's id.

use serde_json::Value;

use super::*;

/// The job of the machines fs02 and fs03.
const JOB: &str = "Fileserver02 Replication";

/// A gateway with the simulated EM, and the option with its address. It ends when the first is dropped.
async fn demo() -> (Child, String) {
    let mut demo = program(&["demo"]).spawn().unwrap();
    let address = after(&mut lines(demo.stdout.take()), "Gateway    ").await;
    (demo, format!("--server={address}"))
}

/// The cells of each row below the heading, without the notes below the table.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let cells = |line| str::split(line, "  ").map(str::trim).filter(|cell| !cell.is_empty());
    table
        .lines()
        .skip(1)
        .filter(|line| line.contains("  "))
        .map(|line| cells(line).collect())
        .collect()
}

/// The machine and the result of each row.
fn results(table: &str) -> Vec<(&str, &str)> {
    rows(table).iter().map(|row| (row[0], row[1])).collect()
}

#[tokio::test]
async fn whether_a_machine_is_replicated_when_and_why_not_takes_one_command() {
    let (_demo, server) = demo().await;
    let (code, out, err) = run(&mut program(&["tasks", "--vm=fs02", &server])).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let heading: Vec<_> = out.lines().next().unwrap().split_whitespace().collect();
    let columns = ["VM", "RESULT", "JOB", "STARTED", "(UTC)", "TOOK", "SESSION", "REASON"];
    assert_eq!(heading, columns, "{out}");
    // The latest first.
    let rows = rows(&out);
    assert_eq!(rows.len(), 3, "{out}");
    assert!(rows[0][3] > rows[1][3] && rows[1][3] > rows[2][3], "{out}");
    let [took, session] = ["3m 27s", "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f00b"];
    assert_eq!([&rows[0][..3], &rows[0][4..]].concat(), ["fs02", "success", JOB, took, session]);
    assert_eq!(
        [&rows[2][..3], &rows[2][4..6]].concat(),
        ["fs02", "failed", JOB, "27m 26s", FAILED]
    );
    assert!(rows[2][6].starts_with("Error: Cannot open disk"), "{out}");

    let (_, out, _) = run(&mut program(&["tasks", "--vm=fs02", "--oldest-first", &server])).await;
    assert_eq!(results(&out)[2], ("fs02", "success"), "{out}");
    // A task that is not over shows what it does: EM says success from its start.
    let (_, out, _) = run(&mut program(&["tasks", "--vm=app02", "--since=1h", &server])).await;
    assert_eq!(results(&out), [("app02", "in progress")], "{out}");
}

#[tokio::test]
async fn each_option_selects_tasks_of_all_sessions() {
    let (_demo, server) = demo().await;
    let failed = [("fs02", "failed"), ("fs02", "failed")];
    let warned = [("fs03", "warning")];
    for (options, expected) in [
        (&["--failed"][..], &failed[..]),
        (&["--failed", "--since=7d"], &failed),
        (&["--failed", "--since=1h"], &[]),
        (&["--failed", "--created-from=yesterday", "--created-before=now"], &failed),
        (&["--vm=fs02", "--vm=fs03", "--result=warning,none"], &warned),
        (&["--job=2c49a44e-1e59-4527-a6bc-6b2f9b579ee1", "--result=warning"], &warned),
        (&["--job-name", JOB, "--result=warning"], &warned),
        (&["--job-name=x\" or Result==\"Failed"], &[]),
        (&["--backup-server-name=srv02.tech.local"], &[("srv04", "success")]),
        (&["--state=pending"], &[("app03", "pending")]),
        (&["--ended-from=2014-10-19", "--ended-before=2014-10-20"], &[("srv04", "success")]),
    ] {
        let mut command = program(&["tasks", &server]);
        let (code, out, err) = run(command.args(options)).await;
        assert_eq!(code, 0, "{options:?}: {err}");
        assert_eq!(results(&out), expected, "{options:?}");
        assert_eq!(out == "no tasks\n", expected.is_empty(), "{options:?}: {out}");
    }
}

#[tokio::test]
async fn a_name_that_no_task_has_does_not_look_like_a_machine_without_failures() {
    let (_demo, server) = demo().await;
    let machines = ["tasks", "--vm=fs02", "--vm=fs2\u{1b}[31m", &server];
    let (code, out, _) = run(&mut program(&machines)).await;
    // Control characters are refused before Enterprise Manager is asked.
    assert_eq!((code, out.as_str()), (64, ""));
    let (code, out, _) = run(&mut program(&["tasks", "--vm=fs02", "--vm=fs0", &server])).await;
    let told = "no task of fs0 matches\ntry: ";
    let try_name =
        "write the name as `tasks --since 7d` shows it, in full and with its capital letters\n";
    assert_eq!(code, 0);
    assert!(out.ends_with(&format!("{told}{try_name}")) && out.lines().count() == 6, "{out}");
    let narrow = ["tasks", "--vm=fs0", "--failed", "--since=1h", &server];
    let (_, out, _) = run(&mut program(&narrow)).await;
    assert_eq!(out, format!("{told}leave out --since, --failed; or {try_name}"));
    // Another page may have it.
    let page = ["tasks", "--vm=fs02", "--vm=fs0", "--page-size=1", &server];
    let (_, out, _) = run(&mut program(&page)).await;
    assert!(!out.contains("fs0 ") && out.contains("more with --all, or --page-token "), "{out}");
}

#[tokio::test]
async fn pages_of_tasks_are_printed_one_by_one_or_all_and_as_json() {
    let (_demo, server) = demo().await;
    let page = ["tasks", "--vm=fs02", "--page-size=1", "--json", &server];
    let (code, out, _) = run(&mut program(&page)).await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["replicaTaskSessions"].as_array().unwrap().len()), (0, 1), "{out}");
    assert_eq!(json["replicaTaskSessions"][0]["result"], "RESULT_SUCCESS");
    let token = json["nextPageToken"].as_str().unwrap();
    let (_, out, _) = run(program(&page).args(["--page-token", token])).await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["replicaTaskSessions"][0]["result"], "RESULT_FAILED");
    let (_, out, _) = run(program(&page).arg("--all")).await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["replicaTaskSessions"].as_array().unwrap().len(), 3);
    assert!(json["nextPageToken"].as_str().is_none_or(str::is_empty), "{out}");
    // A token belongs to the filter that it was made for.
    let other = ["tasks", "--vm=fs03", "--page-size=1", "--page-token", token, &server];
    let (code, _, err) = run(&mut program(&other)).await;
    assert_eq!(code, 64, "{err}");
}

#[tokio::test]
async fn an_id_and_options_that_select_exclude_each_other_and_one_is_needed() {
    for (arguments, told) in [
        (&["tasks"][..], "such as --vm NAME or --since 24h"),
        (&["tasks", "--all"], "needs the ID of a session"),
        (&["tasks", FAILED, "--vm=fs02"], "leave out one of them"),
        (&["tasks", FAILED, "--failed"], "leave out one of them"),
        (&["tasks", FAILED, "--since=7d"], "leave out one of them"),
        (&["tasks", FAILED, "--page-size=5"], "leave out one of them"),
        (&["tasks", "--failed", "--result=warning"], "'--failed' cannot be used with"),
        (&["tasks", "--state=working"], "use pending, in-progress or completed"),
        (&["tasks", "--since=soon"], "7d"),
        (&["tasks", "--job=fs02"], "use --job-name"),
    ] {
        let (code, out, err) = run(&mut program(arguments)).await;
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}: {err}");
        assert!(err.lines().count() == 1 && err.contains(told), "{arguments:?}: {err}");
    }
}
