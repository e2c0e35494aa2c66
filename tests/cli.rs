//! The program as people and scripts use it: arguments, exit codes, signals.

#![expect(clippy::unwrap_used, reason = "in a test, a failing unwrap is a failing test")]

#[path = "cli/behind_proxy.rs"]
mod behind_proxy;
#[path = "cli/broken.rs"]
mod broken;
#[path = "cli/broken_files.rs"]
mod broken_files;
#[path = "cli/canned.rs"]
mod canned;
#[path = "cli/configuration.rs"]
mod configuration;
#[path = "cli/descriptor.rs"]
mod descriptor;
#[path = "cli/environment_file.rs"]
mod environment_file;
#[path = "cli/follow.rs"]
mod follow;
#[path = "gateway/followed_sessions.rs"]
mod followed_sessions;
#[path = "contract/generated.rs"]
mod generated;
#[path = "cli/open_files.rs"]
mod open_files;
#[path = "cli/plaintext.rs"]
mod plaintext;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/server_certificate.rs"]
mod server_certificate;
#[path = "cli/service_manager.rs"]
mod service_manager;
#[path = "cli/simulate.rs"]
mod simulate;
#[path = "cli/tasks.rs"]
mod tasks;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/typed.rs"]
mod typed;
#[path = "cli/unseen.rs"]
mod unseen;
#[path = "cli/version.rs"]
mod version;
#[path = "cli/watch.rs"]
mod watch;

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncRead, BufReader, Lines},
    process::{Child, Command},
    time::timeout,
};

use self::program::{
    FINISHED, PROGRAM, SOON, UNKNOWN, after, lines, program, run, serving, signal,
};

/// The first of three attempts of one job.
const FAILED: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f009";

fn with<'a>(some: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [some, more].concat()
}

#[tokio::test]
async fn a_wrong_setting_ends_the_program_with_one_sentence_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let password = file("password", "secret\n");
    let empty = file("empty", "\n");
    let no_pem = file("no.pem", "not a certificate");
    let bad_pem = file("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");

    let good = ["--em-url=https://em.example:9398", "--em-username=user"];
    let secret = format!("--em-password-file={password}");
    for (arguments, option) in [
        (vec![], "--em-url"),
        (vec!["--em-url=em.example:9398"], "--em-url"),
        (vec!["--em-url=ftp://em.example"], "--em-url"),
        (vec!["--em-url=http://em.example"], "--em-url"),
        (vec!["--em-url=https://user:secret@em.example"], "--em-url"),
        (vec!["--em-url=https://em.example/?v=latest"], "--em-url"),
        (vec![good[0]], "--em-username"),
        (vec![good[0], "--em-username=a:b"], "--em-username"),
        (good.to_vec(), "--em-password-file"),
        ([&good[..], &["--em-password-file=/does/not/exist"]].concat(), "--em-password-file"),
        ([&good[..], &[&format!("--em-password-file={empty}")]].concat(), "--em-password-file"),
        ([&good[..], &[&secret, &format!("--em-ca-file={no_pem}")]].concat(), "--em-ca-file"),
        ([&good[..], &[&secret, &format!("--em-ca-file={bad_pem}")]].concat(), "--em-ca-file"),
        ([&good[..], &[&secret, "--em-ca-file=/does/not/exist"]].concat(), "--em-ca-file"),
        ([&good[..], &[&secret, "--em-pin-sha256=abc"]].concat(), "--em-pin-sha256"),
        (vec!["--em-api-version=7"], "--em-api-version"),
        (vec!["--listen=localhost"], "--listen"),
        (vec!["--admin-listen=9464"], "--admin-listen"),
        (vec!["--max-deadline=5"], "--max-deadline"),
        (vec!["--default-deadline=-5s"], "--default-deadline"),
        (vec!["--max-deadline=0s"], "--max-deadline"),
        (vec!["--em-concurrency=0"], "--em-concurrency"),
        (vec!["--max-in-flight=9999999999999999999"], "--max-in-flight"),
        (vec!["--watch-heartbeat=999ms"], "--watch-heartbeat"),
        (vec!["--watch-heartbeat=241s"], "from 1s to 4m"),
        (vec!["--log-filter=a=b=c"], "--log-filter"),
        (vec!["--log-format=xml"], "--log-format"),
        (vec!["--em-password=secret"], "--em-password"),
        (
            vec!["--watch-interval=5m"],
            "--watch-interval: 5m is longer than --watch-interval-max, which is 2m by default",
        ),
        (
            vec!["--default-deadline=2m"],
            "--default-deadline: 2m is longer than --max-deadline, which is 60s by default",
        ),
        (
            vec!["--max-deadline=5s"],
            "--max-deadline: 5s is shorter than --default-deadline, which is 10s by default",
        ),
        (
            vec!["--max-deadline=5s", "--default-deadline=6s"],
            "--default-deadline: 6s is longer than --max-deadline, which is 5s: change one",
        ),
    ] {
        assert_refused(&arguments, option).await;
    }
}

#[tokio::test]
async fn a_wrong_setting_of_tls_towards_callers_is_named_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let no_pem = file("no.pem", "not a certificate");
    let bad_pem = file("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = file("cert.pem", &pair.cert.pem());
    let cert_file = format!("--tls-cert-file={cert}");
    let client_ca_file = format!("--client-ca-file={cert}");
    let key = file("key.pem", &pair.signing_key.serialize_pem());
    let key_file = format!("--tls-key-file={key}");
    let other_key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let other_key = file("other.key", &other_key);

    let password = format!("--em-password-file={}", file("password", "secret"));
    let all = ["--em-url=https://em.example:9398", "--em-username=user", &password];
    for (arguments, option) in [
        (with(&all, &["--tls-cert-file=/does/not/exist"]), "--tls-key-file"),
        (with(&all, &["--tls-key-file=/does/not/exist"]), "--tls-cert-file"),
        (with(&all, &["--tls-cert-file=/does/not/exist", &key_file]), "--tls-cert-file"),
        (with(&all, &[&cert_file, &format!("--tls-key-file={no_pem}")]), "--tls-key-file"),
        (with(&all, &[&cert_file, &format!("--tls-key-file={other_key}")]), "--tls-key-file"),
        (with(&all, &[&format!("--tls-cert-file={bad_pem}"), &key_file]), "--tls-cert-file"),
        (
            with(&all, &[&cert_file, &key_file, &format!("--client-ca-file={bad_pem}")]),
            "--client-ca-file",
        ),
        (with(&all, &["--client-ca-file=/does/not/exist"]), "--client-ca-file"),
        (with(&all, &[&cert_file, &key_file, "--allow-caller=a.example"]), "--allow-caller"),
        (with(&all, &["--caller-identity=header"]), "--caller-identity"),
        (with(&all, &["--trusted-proxies=10.0.0.0/8"]), "--trusted-proxies"),
        (
            with(&all, &["--caller-identity=xfcc", "--trusted-proxies=10.0.0.1/8"]),
            "--trusted-proxies",
        ),
        (
            with(&all, &["--caller-identity=xfcc", "--trusted-proxies=a.example"]),
            "--trusted-proxies",
        ),
        (
            with(&all, &[&cert_file, &key_file, &client_ca_file, "--allow-caller=spiffe://a/*/b"]),
            "--allow-caller",
        ),
    ] {
        assert_refused(&arguments, option).await;
    }
}

/// Asserts that `serve` with these arguments ends at once, with one sentence that names the option.
async fn assert_refused(arguments: &[&str], option: &str) {
    let (code, out, err) = run(program(&["serve"]).args(arguments)).await;
    assert_eq!(code, 64, "{arguments:?}: {err}");
    assert_eq!(out, "", "{arguments:?}");
    assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
    assert!(err.contains(option), "{arguments:?}: {err}");
    assert!(!err.contains("secret@"), "{arguments:?}: {err}");
}

#[tokio::test]
async fn settings_come_from_the_environment_too() {
    let wrong = [("GATEWAY_LISTEN", "nowhere"), ("GATEWAY_EM_ALLOW_PLAINTEXT", "perhaps")];
    for (variable, value) in wrong {
        let (code, _, err) = run(program(&["serve"]).env(variable, value)).await;
        assert_eq!(code, 64, "{err}");
        let option = variable.replace("GATEWAY_", "--").replace('_', "-").to_lowercase();
        assert!(err.contains(&option), "{err}");
    }
    let mut serve = program(&["serve"])
        .envs([
            ("GATEWAY_LISTEN", "127.0.0.1:0"),
            ("GATEWAY_ADMIN_LISTEN", "127.0.0.1:0"),
            ("GATEWAY_EM_URL", "http://127.0.0.1:9/prefix"),
            ("GATEWAY_EM_ALLOW_PLAINTEXT", "true"),
            ("GATEWAY_EM_USERNAME", "user"),
            ("GATEWAY_EM_PASSWORD", "pa55w0rd"),
            ("GATEWAY_EM_PASSWORD_FILE", ""),
            ("GATEWAY_EM_CA_FILE", ""),
            ("GATEWAY_EM_PIN_SHA256", ""),
            ("GATEWAY_LOG_FORMAT", "json"),
            ("GATEWAY_LAME_DUCK", "0s"),
            ("GATEWAY_MAX_WATCHS", "3"),
        ])
        .spawn()
        .unwrap();
    let mut log = lines(serve.stderr.take());
    let address = after(&mut log, "\"address\":\"").await;
    let meant =
        after(&mut log, "GATEWAY_MAX_WATCHS has no effect, since no setting has this name; ");
    assert_eq!(meant.await, "GATEWAY_MAX_WATCHES");
    let arguments = format!("/proc/{}/cmdline", serve.id().unwrap());
    let arguments = std::fs::read_to_string(arguments).unwrap();
    assert!(!arguments.contains("pa55w0rd"), "{arguments}");

    let server = format!("--server=http://{address}");
    let (code, _, err) = run(&mut program(&["get", FINISHED, &server])).await;
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("UNAVAILABLE") && err.contains("EM_UNAVAILABLE"), "{err}");

    signal(&serve, "TERM").await;
    let status = timeout(SOON, serve.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn the_demonstration_answers_and_the_exit_codes_of_get_differ() {
    let mut demo = program(&["demo"]).spawn().unwrap();
    let mut out = lines(demo.stdout.take());
    let server = format!("--server={}", after(&mut out, "Gateway    ").await);
    assert_eq!(after(&mut out, "State          ").await, "working");

    let (code, out, _) = run(&mut program(&["get", FINISHED, &server])).await;
    assert_eq!(code, 0);
    for line in ["Result         success", "Started        2025-10-07 20:00:02 UTC", "after 3m 54s"]
    {
        assert!(out.contains(line), "{out}");
    }
    let (code, out, _) = run(&mut program(&["get", FINISHED, &server, "--json"])).await;
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["replicaSession"]["state"], "STATE_STOPPED");
    assert_eq!(json["replicaSession"]["createTime"], "2025-10-07T20:00:02.420Z");
    let (code, out, _) = run(&mut program(&["get", FINISHED, &server, "--view=reference"])).await;
    assert_eq!(code, 0);
    assert!(out.contains("Job") && !out.contains("State") && !out.contains("Links"), "{out}");
    let (_, out, _) = run(&mut program(&["get", FINISHED, &server, "--links"])).await;
    assert!(out.contains("Links          Up         BackupServerReference"), "{out}");

    let (code, out, _) = run(&mut program(&["get", FINISHED, FAILED, &server])).await;
    let (first, second) = out.split_once("\n\n").unwrap();
    assert!(code == 0 && first.contains(FINISHED) && second.contains(FAILED), "{out}");
    let (code, out, err) = run(&mut program(&["get", UNKNOWN, FINISHED, &server])).await;
    assert_eq!((code, out.matches("Session  ").count()), (66, 1), "{out}");
    assert!(err.contains(&format!("does not know {UNKNOWN}")) && out.contains(FINISHED), "{err}");
    let json = ["get", FINISHED, UNKNOWN, &server, "--json"];
    let (_, out, _) = run(&mut program(&json)).await;
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["unknownSessionIds"][0], UNKNOWN);
    let (code, ..) = run(&mut program(&["get", FINISHED, FAILED, "--failed-tasks", &server])).await;
    assert_eq!(code, 64);

    let (code, out, _) = run(&mut program(&["list", &server, "--result=failed"])).await;
    assert_eq!(code, 0);
    let rows: Vec<_> = out.lines().collect();
    assert!(rows[0].starts_with("ID ") && rows.len() == 3, "{out}");
    assert!(rows[1].contains("failed, retry") && rows[2].starts_with(FAILED), "{out}");
    assert!(rows[2].ends_with("Fileserver02 Replication"), "{out}");
    let filters = ["--state=working,starting", "--created-from=1h", "--json"];
    let (code, out, _) = run(program(&["list", &server]).args(filters)).await;
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["replicaSessions"].as_array().unwrap().len()), (0, 1));
    let exactly = [
        "--created-from=2025-10-07T20:00:02.42Z",
        "--created-before=2025-10-07T20:00:02.421Z",
        "--view=reference",
    ];
    let (code, out, _) = run(program(&["list", &server]).args(exactly)).await;
    let rows: Vec<_> = out.lines().collect();
    assert_eq!((code, rows.len()), (0, 2), "{out}");
    assert!(rows[0].ends_with("  NAME") && rows[1].starts_with(FINISHED), "{out}");
    let (_, page, _) = run(&mut program(&["list", &server, "--page-size=2"])).await;
    assert!(page.lines().count() == 5 && page.contains("--page-token "), "{page}");
    let (_, all, _) = run(&mut program(&["list", &server, "--page-size=2", "--all"])).await;
    assert_eq!(all.lines().count(), 8, "{all}");
    let (code, out, _) = run(&mut program(&["list", &server, "--job-name=x\";y"])).await;
    assert_eq!((code, out.as_str()), (0, "no sessions\n"));
    let (code, out, _) = run(&mut program(&["tasks", FAILED, &server])).await;
    assert_eq!(code, 0);
    assert!(out.contains("60.0 GiB  Error: Cannot open disk"), "{out}");
    let (_, out, _) = run(&mut program(&["get", FAILED, &server, "--failed-tasks"])).await;
    assert!(out.contains("Task failed    fs02: Error: Cannot open disk"), "{out}");
    for wrong in ["--state=asleep", "--result=bad", "--created-from=soon", "--page-size=-1"] {
        let (code, _, err) = run(&mut program(&["list", &server, wrong])).await;
        assert_eq!(code, 64, "{wrong}: {err}");
    }
    let (_, _, err) = run(&mut program(&["list", &server, "--job-name=a\nb"])).await;
    assert!(err.contains("INVALID_ARGUMENT: --job-name must not have control"), "{err}");

    let (code, out, err) = run(&mut program(&["get", UNKNOWN, &server])).await;
    assert_eq!((code, out.as_str()), (66, ""), "{err}");
    assert!(err.contains("NOT_FOUND") && err.contains("SESSION_NOT_FOUND"), "{err}");

    signal(&demo, "INT").await;
    let status = timeout(SOON, demo.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    let (code, _, err) = run(&mut program(&["get", FINISHED, &server])).await;
    assert_eq!(code, 69, "{err}");
}

#[tokio::test]
async fn the_simulator_alone_serves_a_gateway_elsewhere_and_prints_its_counts() {
    let mut simulate = program(&["simulate", "--listen=127.0.0.1:0"]).spawn().unwrap();
    let mut told = lines(simulate.stdout.take());
    let url = after(&mut told, "Simulator  ").await;
    let (mut serve, address) = serving(&url, &["--em-allow-plaintext"]).await;
    let server = format!("--server=http://{address}");
    let (code, _, err) = run(&mut program(&["get", FINISHED, &server])).await;
    assert_eq!(code, 0, "{err}");
    for child in [&mut serve, &mut simulate] {
        signal(child, "TERM").await;
        let status = timeout(SOON, child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(0));
    }
    assert_eq!(after(&mut told, "Session reads  ").await, "1");
    assert_eq!(after(&mut told, "Logoffs        ").await, "1");
}

#[tokio::test]
async fn a_caller_without_an_allowed_certificate_gets_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let ca = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let issue = |name: &str| {
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &ca).unwrap();
        let cert = file(&format!("{name}.crt"), cert.pem());
        (cert, file(&format!("{name}.key"), key.serialize_pem()))
    };
    let ca_file = file("ca.crt", ca.pem());
    let (cert, key) = issue("127.0.0.1");
    let mut demo = program(&["demo", "--tls-cert-file", &cert, "--tls-key-file", &key])
        .args(["--client-ca-file", &ca_file, "--allow-caller=good.example"])
        .spawn()
        .unwrap();
    let server = after(&mut lines(demo.stdout.take()), "Gateway    ").await;
    assert!(server.starts_with("https://"), "{server}");

    let (good, bad) = (issue("good.example"), issue("bad.example"));
    let trusting = ["--ca-file", &ca_file];
    for (options, expected, told) in [
        (vec![], 69, "--ca-file"),
        (trusting.to_vec(), 69, "--cert-file"),
        (with(&trusting, &["--cert-file", &good.0, "--key-file", &good.1]), 0, ""),
        (with(&trusting, &["--cert-file", &bad.0, "--key-file", &bad.1]), 77, "CALLER_NOT_ALLOWED"),
        (with(&trusting, &["--cert-file", &good.0]), 64, "--key-file"),
        (vec!["--ca-file=/does/not/exist"], 64, "--ca-file"),
        (vec!["--ca-file", &good.1], 64, "--ca-file"),
    ] {
        let mut get = program(&["get", FINISHED, "--server", &server]);
        let (code, _, err) = run(get.args(&options)).await;
        assert_eq!(code, expected, "{options:?}: {err}");
        assert!(err.contains(told), "{options:?}: {err}");
    }
    let plain = server.replace("https", "http");
    let (code, _, err) = run(program(&["get", FINISHED, "--server", &plain]).args(trusting)).await;
    assert_eq!(code, 64, "{err}");

    let mut log = lines(demo.stderr.take());
    let caller = after(&mut log, "caller=\"").await;
    assert_eq!(caller, "bad.example");
}

#[tokio::test]
async fn a_second_signal_ends_the_program_at_once() {
    let mut serve = program(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
        .args(["--em-url=https://em.example", "--em-username=user", "--lame-duck=1h"])
        .env("GATEWAY_EM_PASSWORD", "secret")
        .spawn()
        .unwrap();
    let mut log = lines(serve.stderr.take());
    after(&mut log, "serving").await;
    signal(&serve, "TERM").await;
    after(&mut log, "stopping").await;
    signal(&serve, "TERM").await;
    let status = timeout(SOON, serve.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(130));
}

#[tokio::test]
async fn a_closed_log_fails_no_call() {
    let mut demo = program(&["demo"]);
    let mut demo = demo.env("GATEWAY_LOG_FILTER", "debug").spawn().unwrap();
    let server = after(&mut lines(demo.stdout.take()), "Gateway    ").await;
    drop(demo.stderr.take());
    for _ in 0..3 {
        let (code, _, err) = run(&mut program(&["get", FINISHED, "--server", &server])).await;
        assert_eq!(code, 0, "{err}");
    }
    signal(&demo, "TERM").await;
    let status = timeout(SOON, demo.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn what_is_missing_is_named_with_the_setting_that_gives_it() {
    for address in ["", "em example", "https://", "127.0.0.1:99999"] {
        let (code, _, err) = run(&mut program(&["em-certificate", address])).await;
        assert_eq!(code, 64, "{err}");
        assert!(err.contains("is not an address; write it as https://HOST:9398"), "{err}");
    }
    // Without a scheme it is one for TLS.
    for (address, told) in [
        ("127.0.0.1:1", "https://127.0.0.1:1/: cannot connect"),
        ("127.0.0.1", "without a port this is 443, and Enterprise Manager usually has 9398"),
    ] {
        let (code, _, err) = run(&mut program(&["em-certificate", address])).await;
        assert_eq!(code, 69, "{err}");
        assert!(err.contains(told), "{err}");
    }
    for (arguments, told) in [
        (["get", "fs02"], "`list "),
        (["tasks", "fs02"], "`list "),
        (["watch", "fs02"], "`list "),
        (["list", "--job=fs02"], "--job: \"fs02\" is not the id of a job"),
        (["list", "--job=fs02"], "use --job-name"),
        (["list", "--backup-server=vbr"], "use --backup-server-name"),
        (["list", "--result=fail"], "use failed, warning, success or none"),
        (["list", "--created-from=soon"], "7d"),
    ] {
        let (code, _, err) = run(&mut program(&arguments)).await;
        assert_eq!(code, 64, "{err}");
        assert!(err.lines().count() == 1 && err.contains(told), "{err}");
    }
    let without = |arguments: &[&str]| {
        let mut command = program(arguments);
        command.env("GATEWAY_EM_PASSWORD", "secret");
        command.env("SSL_CERT_FILE", "/does/not/exist").env("SSL_CERT_DIR", "/does/not/exist");
        command
    };
    let em = ["serve", "--em-username=user", "--em-url=https://127.0.0.1:1"];
    for (mut command, options) in [
        (
            without(&["get", FINISHED, "--server=https://127.0.0.1:1"]),
            ["--ca-file", "SSL_CERT_FILE"],
        ),
        (without(&em), ["--em-ca-file: is not set", "SSL_CERT_FILE"]),
    ] {
        let (code, _, err) = run(&mut command).await;
        assert_eq!(code, 64, "{err}");
        assert!(err.contains("the system has no CA certificates"), "{err}");
        assert!(options.iter().all(|option| err.contains(option)), "{err}");
    }
    let pin = format!("{}g{}", "0".repeat(40), "1".repeat(23));
    let (code, _, err) =
        run(program(&em).env("GATEWAY_EM_PASSWORD", "secret").args(["--em-pin-sha256", &pin]))
            .await;
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("character 41 of this one is none") && !err.contains("0g1"), "{err}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut serve = program(&["serve", "--admin-listen=127.0.0.1:0", "--listen", &address]);
    let serve = serve
        .args(["--em-url=https://em.example", "--em-username=user"])
        .env("GATEWAY_EM_PASSWORD", "secret");
    let (code, _, err) = run(serve).await;
    assert_eq!(code, 64);
    assert!(err.contains("--listen") && err.contains(&address), "{err}");
}
