//! What people read fits their terminal: broken between words, never inside an id or a column.

use simulator::{Options, Simulator};

use super::*;

/// The numbers of columns that people have.
const WIDTHS: [usize; 4] = [60, 80, 120, 200];

/// Asserts that a line exceeds the width only if it is one word.
fn assert_fits(text: &str, width: usize) {
    for line in text.lines() {
        let fits = line.chars().count() <= width || !line.trim().contains(' ');
        assert!(fits, "{width}: {line}\n{text}");
    }
}

#[tokio::test]
async fn no_output_is_wider_than_the_terminal() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut demo = program(&["demo"]).env("COLUMNS", "60").spawn().unwrap();
    let mut out = lines(demo.stdout.take());
    let server = format!("--server={}", after(&mut out, "Gateway    ").await);
    let em = format!("--em-url={}", simulator.url());
    let check = ["check", &em, "--em-allow-plaintext", "--em-username=TECH\\operator"];
    let failed: &[&str] = &["get", FAILED, &server, "--failed-tasks"];
    for width in WIDTHS {
        for arguments in [
            &["list", &server][..],
            &["list", &server, "--page-size=2"],
            &["list", &server, "--view=reference"],
            &["tasks", FAILED, &server],
            &["tasks", "--since=2014-01-01", &server],
            &["tasks", "--vm=fs02", "--vm=a name that no virtual machine has", &server],
            &["tasks", "--vm=fs02", "--page-size=1", &server],
            &["tasks"],
            failed,
            &["get", FINISHED, &server, "--links"],
            &["get", "fs02"],
            &check,
        ] {
            let mut command = program(arguments);
            command.env("COLUMNS", width.to_string()).env("GATEWAY_EM_PASSWORD", "simulated");
            let (_, out, err) = run(&mut command).await;
            assert_fits(&(out + &err), width);
        }
        let (_, list, _) = run(program(&["list", &server]).env("COLUMNS", width.to_string())).await;
        // What matters comes first, and ids stay whole.
        let first = if width < 150 { "RESULT " } else { "ID " };
        assert!(list.starts_with(first) && list.contains(FINISHED), "{width}: {list}");
        let (_, wide, _) =
            run(program(&["list", &server, "--wide"]).env("COLUMNS", width.to_string())).await;
        assert!(wide.starts_with("ID ") && wide.lines().count() == 8, "{width}: {wide}");
    }
    let mut told = String::new();
    loop {
        let line = timeout(SOON, out.next_line()).await.unwrap().unwrap().unwrap();
        told += &(line + "\n");
        if told.contains("Ctrl-C ends the demo") {
            break;
        }
    }
    assert_fits(&told, 60);
    assert!(told.contains(" \\\n      "), "a command is broken with a backslash: {told}");
    // In quotation marks, a shell would take the backslash as it is.
    let is_quoted = |line: &str| line.matches('\'').count() % 2 == 1;
    assert!(!told.lines().any(is_quoted), "{told}");
}

#[tokio::test]
async fn what_goes_to_a_file_or_another_program_is_not_broken() {
    let mut demo = program(&["demo"]).spawn().unwrap();
    let server = format!("--server={}", after(&mut lines(demo.stdout.take()), "Gateway    ").await);
    let (_, out, _) = run(&mut program(&["tasks", FAILED, &server])).await;
    assert_eq!(out.lines().count(), 3, "{out}");
    let (_, out, _) = run(&mut program(&["list", &server])).await;
    assert!(out.starts_with("ID ") && out.lines().count() == 8, "{out}");
}
