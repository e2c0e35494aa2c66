//! Files with a private key in them that cannot be used: no part of the key is in what the program prints.

use std::{fs, path::Path};

use simulator::{Options, Simulator};
use tempfile::TempDir;
use tokio::process::Command;

use super::{broken::Secret, program, run};

/// Options of `serve` that name files, or variables.
const SERVE: [&str; 8] = [
    "--em-ca-file",
    "--em-pin-file",
    "--em-password-file",
    "--tls-cert-file",
    "--tls-key-file",
    "--client-ca-file",
    "--page-token-key-file",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
];

/// Options of `get` and the like that name files.
const GET: [&str; 3] = ["--ca-file", "--cert-file", "--key-file"];

/// A secret, and good files for it.
struct Files {
    folder: TempDir,
    secret: Secret,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap(), secret: Secret::new() };
        files.write("good.crt", files.secret.certificate.as_bytes());
        files.write("good.key", files.secret.key.as_bytes());
        files.write("password", b"simulated");
        files
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: &[u8]) -> String {
        fs::write(self.folder.path().join(name), content).unwrap();
        self.path(name)
    }

    /// `serve` with this value for an option or a variable, and what it needs besides. It ends when it has read all
    /// files, since it cannot listen on the address.
    fn serve(&self, option: &str, value: &str) -> Command {
        let mut serve = program(&["serve", "--listen=192.0.2.1:1", "--admin-listen=127.0.0.1:0"]);
        serve.args(["--em-url=https://127.0.0.1:1", "--em-username=user", "--log-filter=trace"]);
        if !["--em-ca-file", "--em-pin-file"].contains(&option) {
            serve.arg(format!("--em-pin-sha256={}", "0".repeat(64)));
        }
        let mut give = |given: &str, name: &str| {
            if option != given {
                serve.arg(format!("{given}={}", self.path(name)));
            }
        };
        give("--em-password-file", "password");
        if ["--tls-cert-file", "--tls-key-file", "--client-ca-file"].contains(&option) {
            give("--tls-cert-file", "good.crt");
            give("--tls-key-file", "good.key");
        }
        if option.starts_with("--") {
            serve.arg(format!("{option}={value}"));
        } else {
            serve.env(option, value).env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1");
        }
        serve
    }

    fn get(&self, subcommand: &[&str], option: &str, value: &str) -> Command {
        let mut get = program(subcommand);
        get.arg("--server=https://127.0.0.1:1").arg(format!("{option}={value}"));
        for (given, name) in GET.into_iter().zip(["good.crt", "good.crt", "good.key"]) {
            if option != given {
                get.arg(format!("{given}={}", self.path(name)));
            }
        }
        get
    }

    /// Runs the command, which must fail and reveal nothing. Returns what it prints.
    async fn assert_kept(&self, command: &mut Command, what: &str) -> String {
        let (code, out, err) = run(command).await;
        assert!([64, 69].contains(&code), "{what}: {code} {err}");
        let printed = format!("{out}{err}");
        self.secret.assert_not_in(&printed, what);
        printed
    }
}

#[tokio::test]
async fn no_broken_file_of_serve_gets_its_key_printed() {
    let files = Files::new();
    for (kind, content) in files.secret.broken() {
        let path = files.write("broken", &content);
        for option in SERVE {
            let what = format!("{option} {kind}");
            files.assert_kept(&mut files.serve(option, &path), &what).await;
        }
    }
}

#[tokio::test]
async fn no_broken_file_of_a_client_gets_its_key_printed() {
    let files = Files::new();
    let get = ["get", super::FINISHED];
    for (kind, content) in files.secret.broken() {
        let path = files.write("broken", &content);
        for option in GET {
            let what = format!("{option} {kind}");
            files.assert_kept(&mut files.get(&get, option, &path), &what).await;
        }
    }
    let path = files.write("broken", files.secret.key.replace('\n', "\\n").as_bytes());
    for subcommand in
        [&["list"][..], &["tasks", super::FINISHED], &["watch", super::FINISHED], &["health"]]
    {
        for option in GET {
            let what = format!("{subcommand:?} {option}");
            files.assert_kept(&mut files.get(subcommand, option, &path), &what).await;
        }
    }
}

#[tokio::test]
async fn a_key_in_place_of_a_path_is_not_printed() {
    let files = Files::new();
    let one_line = files.secret.key.replace('\n', "\\n");
    let base64: String = files.secret.key.lines().filter(|line| !line.starts_with('-')).collect();
    for value in [&files.secret.key, &one_line, &base64] {
        for option in SERVE {
            let printed = files.assert_kept(&mut files.serve(option, value), option).await;
            assert!(printed.contains(option), "{printed}");
        }
        for option in ["GATEWAY_EM_PIN_SHA256", "GATEWAY_ALLOW_CALLER", "GATEWAY_EM_URL"] {
            files.assert_kept(&mut files.serve(option, value), option).await;
        }
        for option in GET {
            let get = ["get", super::FINISHED];
            files.assert_kept(&mut files.get(&get, option, value), option).await;
        }
    }
}

/// The options that a subcommand has, from its help.
async fn options_of(subcommand: &str) -> Vec<String> {
    let (_, help, _) = run(&mut program(&[subcommand, "--help"])).await;
    let words = help.split(|c: char| !c.is_ascii_lowercase() && c != '-' && !c.is_ascii_digit());
    let is_option = |word: &&str| word.len() > 3 && word.starts_with("--");
    words.filter(is_option).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_key_behind_any_option_of_any_subcommand_is_not_printed() {
    let secret = Secret::new();
    let base64: String = secret.key.lines().filter(|line| !line.starts_with('-')).collect();
    for subcommand in [
        "serve",
        "get",
        "list",
        "tasks",
        "watch",
        "follow",
        "health",
        "check",
        "em-certificate",
        "demo",
        "simulate",
    ] {
        for option in options_of(subcommand).await {
            // Whatever ends the program at once stands behind it, so that nothing is served or called.
            let end = "--nothing-of-this-name";
            for arguments in [
                vec![subcommand, &option, &secret.key, end],
                vec![subcommand, &option, &base64, end],
                vec![subcommand, &format!("{option}={}", secret.key), end],
            ] {
                let (code, out, err) = run(&mut program(&arguments)).await;
                let what = format!("{subcommand} {option}");
                assert!(code == 64 || out.contains("Usage:") || code == 0, "{what}: {code} {err}");
                secret.assert_not_in(&(out + &err), &what);
            }
        }
    }
    for arguments in [vec![&*secret.key], vec![&base64], vec!["serve", &secret.key]] {
        let (code, out, err) = run(&mut program(&arguments)).await;
        assert_eq!(code, 64, "{err}");
        secret.assert_not_in(&(out + &err), "without an option");
    }
}

#[tokio::test]
async fn a_value_that_clap_takes_for_an_option_is_not_shown_and_a_name_is() {
    let secret = Secret::new();
    for (arguments, told) in [
        (vec!["serve", "--tls-key-file", &secret.key], "written --OPTION=VALUE"),
        (vec!["get", "--key-file", &secret.key], "written --OPTION=VALUE"),
        (vec!["serve", "--em-passw0rd"], "written --OPTION=VALUE"),
        (vec!["serve", "--em-pasword-file=x"], "'--em-pasword-file' found; tip:"),
        (vec!["get", "-p"], "'-p'"),
        (vec!["serv"], "'serve'"),
        (vec!["list", "--view=secret"], "reference, entity"),
        (vec!["list", "--view=s3cret"], "--view: the value is none of these: reference, entity"),
        (vec!["get", "x", "--json=s3cret"], "--json: does not take that value"),
    ] {
        let (code, _, err) = run(&mut program(&arguments)).await;
        assert_eq!(code, 64, "{err}");
        assert!(err.contains(told) && !err.contains("s3cret"), "{told}: {err}");
        assert!(!err.contains("BEGIN"), "{err}");
    }
}

#[tokio::test]
async fn the_folder_of_a_volume_that_is_not_mounted_is_named() {
    let files = Files::new();
    for option in SERVE {
        let told = "/no-secrets/em/file cannot be read: the folder /no-secrets does not exist";
        let printed =
            files.assert_kept(&mut files.serve(option, "/no-secrets/em/file"), option).await;
        assert!(printed.contains(option) && printed.contains(told), "{printed}");
    }
    let told = "./no secrets/file cannot be read: the folder ./no secrets does not exist";
    let mut get = files.get(&["get", super::FINISHED], "--ca-file", "./no secrets/file");
    let printed = files.assert_kept(&mut get, "get").await;
    assert!(printed.contains(told), "{printed}");
    // What may be a secret is not shown.
    let long = format!("/{}", "a".repeat(41));
    for value in ["no-secrets/em-password", "/no-secrets/p%w", "/no-secrets/p=w", &long] {
        let printed = files.assert_kept(&mut files.serve("--em-ca-file", value), value).await;
        assert!(!printed.contains(value), "{printed}");
        assert!(printed.contains("has to be the path of a file"), "{printed}");
    }
}

#[tokio::test]
async fn platform_authorities_with_a_broken_key_among_them_are_not_printed() {
    let files = Files::new();
    for (kind, content) in files.secret.broken() {
        let path = files.write("broken", &content);
        let mut serve = files.serve("OTEL_EXPORTER_OTLP_CERTIFICATE", "");
        files.assert_kept(serve.env("SSL_CERT_FILE", &path), kind).await;
    }
}

#[tokio::test]
async fn a_key_in_place_of_the_password_is_in_no_report() {
    let files = Files::new();
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let report = files.path("report.json");
    for (kind, content) in files.secret.broken() {
        let password = files.write("broken", &content);
        let mut check = program(&["check", "--em-allow-plaintext", "--em-username=user"]);
        check.args(["--report", &report, "--em-url", &simulator.url()]);
        let (code, out, err) = run(check.args(["--em-password-file", &password])).await;
        assert!([64, 78].contains(&code), "{kind}: {out}{err}");
        files.secret.assert_not_in(&(out + &err), kind);
        if Path::new(&report).exists() {
            files.secret.assert_not_in(&fs::read_to_string(&report).unwrap(), kind);
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said() {
    let files = Files::new();
    let broken = files.secret.broken();
    for (option, kind, told) in [
        (
            "--tls-cert-file",
            "line ends are \\n",
            r"a section begins in line 1 and does not end; are its line ends the two characters \n?",
        ),
        ("--em-ca-file", "line ends are lost", "line ends"),
        (
            "--client-ca-file",
            "in quotes",
            "a quotation mark (U+0022) stands before the dashes of line 1",
        ),
        ("--em-ca-file", "all indented", "a blank (U+0020) stands before the dashes of line 1"),
        ("--tls-key-file", "in base64", "the base64 form of a PEM file"),
        ("--tls-key-file", "only base64", "without the lines BEGIN and END"),
        ("--tls-key-file", "in DER", "convert it from DER"),
        ("--em-ca-file", "in UTF-16", "UTF-16"),
        ("--em-ca-file", "in big-endian UTF-16", "UTF-16"),
        ("--tls-key-file", "cut off", "cut off"),
        ("--tls-key-file", "without its beginning", "no line before it begins one"),
        ("--tls-key-file", "damaged", "is not base64"),
        ("--tls-key-file", "encrypted", "encrypted private key in line 1"),
        ("--tls-key-file", "of OpenSSH", "ssh-keygen"),
        ("--tls-cert-file", "in place of a certificate", "a private key and no certificate"),
        ("--em-ca-file", "in a certificate's place", "number 1 in the file"),
        ("--em-pin-file", "in place of a certificate", "em-certificate shows"),
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "in place of a certificate",
            "a private key and no certificate",
        ),
    ] {
        let (_, content) = broken.iter().find(|(name, _)| *name == kind).unwrap();
        let path = files.write("broken", content);
        let printed = files.assert_kept(&mut files.serve(option, &path), kind).await;
        assert!(printed.contains(told), "{option} {kind}: {printed}");
    }
    let swapped = files.path("good.crt");
    let printed = files.assert_kept(&mut files.serve("--tls-key-file", &swapped), "swapped").await;
    assert!(printed.contains("a certificate and no private key"), "{printed}");
    let empty = files.write("broken", b"\n");
    let printed = files.assert_kept(&mut files.serve("--em-ca-file", &empty), "empty").await;
    assert!(printed.contains("is empty"), "{printed}");
}
