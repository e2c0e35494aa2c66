//! What nobody can see in a value: marks and newlines of editors are taken off, and what no account can have is
//! refused and named.

use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt as _};

use clap::{Args as _, Command as Options};
use replica_session_gateway::settings::{Pin, ServeOptions};
use simulator::{Account, Role, Simulator};
use tempfile::TempDir;
use tokio::process::Command;

use super::{program, run};

const MARK: &str = "\u{feff}";

/// `check` with a simulated Enterprise Manager that knows one account.
struct Checked {
    simulator: Simulator,
    folder: TempDir,
}

impl Checked {
    async fn new(username: &str, password: &str) -> Self {
        let simulator = Simulator::start(simulator::Options {
            accounts: vec![Account::new(username, password, Role::PortalUser)],
            ..simulator::Options::default()
        });
        Self { simulator: simulator.await.unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self) -> Command {
        let mut check = program(&["check", "--em-allow-plaintext"]);
        check.env("GATEWAY_EM_URL", self.simulator.url());
        check
    }

    /// With the password in a file.
    fn with_file(&self, username: &str, content: &[u8]) -> Command {
        let path = self.folder.path().join("password");
        fs::write(&path, content).unwrap();
        let mut check = self.command();
        check.env("GATEWAY_EM_USERNAME", username).arg("--em-password-file").arg(path);
        check
    }

    /// With the password in a variable.
    fn with_variable(&self, username: &str, password: &str) -> Command {
        let mut check = self.command();
        check.env("GATEWAY_EM_USERNAME", username).env("GATEWAY_EM_PASSWORD", password);
        check
    }

    async fn assert_refused(&self, mut command: Command, told: &str) {
        let (code, out, err) = run(&mut command).await;
        assert_eq!(code, 64, "{told}: {out}{err}");
        assert!(out.contains(told), "{told}: {out}");
        assert!(!out.contains("w0rd"), "{out}");
        assert_eq!(self.simulator.counts().requests, 0, "{told}");
    }
}

#[tokio::test]
async fn a_mark_before_a_value_and_one_newline_after_it_are_no_part_of_it() {
    let checked = Checked::new("user", "secret").await;
    for content in
        ["secret", "secret\n", "secret\r\n", "\u{feff}secret", "\u{feff}\u{feff}secret\r\n"]
    {
        for name in ["user", "user\n", "user\r\n", "\u{feff}user\n"] {
            let commands =
                [checked.with_file(name, content.as_bytes()), checked.with_variable(name, content)];
            for mut command in commands {
                let (code, out, err) = run(&mut command).await;
                assert_eq!(code, 0, "{content:?} {name:?}: {out}{err}");
                assert!(out.contains("✓ settings"), "{out}");
            }
        }
    }
}

#[tokio::test]
async fn a_password_with_blanks_quotes_and_letters_of_any_language_is_accepted() {
    for password in [
        "a b",
        "it's",
        "\"a\"b",
        "päßwörd:x",
        "密码",
        "❤\u{fe0f}",
        "a\u{300}b",
        "\\n",
        "-----",
        "'",
        "=%2B&<>",
    ] {
        let checked = Checked::new("DOMAIN\\Jörg O'Neil", password).await;
        for mut command in [
            checked.with_file("DOMAIN\\Jörg O'Neil", password.as_bytes()),
            checked.with_variable("DOMAIN\\Jörg O'Neil", password),
        ] {
            let (code, out, err) = run(&mut command).await;
            assert_eq!(code, 0, "{password:?}: {out}{err}");
            assert!(out.contains("✓ settings"), "{out}");
        }
    }
}

#[tokio::test]
async fn what_is_possible_in_a_password_and_hardly_meant_is_a_warning() {
    for (password, told) in [
        (" passw0rd", "begins with a blank (U+0020)"),
        ("passw0rd ", "ends with a blank (U+0020)"),
        ("\"passw0rd\"", "stands in quotation marks"),
        ("pass\u{200b}w0rd", "has inside a zero-width character (U+200B)"),
        ("pass\u{a0}w0rd", "has inside a no-break space (U+00A0)"),
    ] {
        let checked = Checked::new("user", password).await;
        for mut command in [
            checked.with_file("user", password.as_bytes()),
            checked.with_variable("user", password),
        ] {
            let (code, out, err) = run(&mut command).await;
            assert_eq!(code, 0, "{password:?}: {out}{err}");
            assert!(out.contains("! settings") && out.contains(told), "{out}");
            assert!(!out.contains("w0rd"), "{out}");
        }
    }
}

#[tokio::test]
async fn a_password_that_no_account_can_have_is_never_sent() {
    let checked = Checked::new("user", "secret").await;
    let utf16 = |to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        "passw0rd\r\n".encode_utf16().flat_map(to_bytes).collect()
    };
    for (content, told) in [
        (b"passw0rd\n\n".to_vec(), "ends with a line feed (U+000A)"),
        (b"passw0rd\r\n\r\n".to_vec(), "has inside a carriage return (U+000D)"),
        (b"\npassw0rd".to_vec(), "begins with a line feed (U+000A)"),
        (b"pass\nw0rd".to_vec(), "has inside a line feed (U+000A)"),
        (b"pass\tw0rd".to_vec(), "has inside a tab (U+0009)"),
        (b"passw0rd\t".to_vec(), "ends with a tab (U+0009)"),
        (b"passw0rd\0".to_vec(), "ends with a NUL (U+0000)"),
        (b"passw0rd\x7f".to_vec(), "ends with a control character (U+007F)"),
        ("pass\u{85}w0rd".into(), "has inside a control character (U+0085)"),
        ("passw0rd\u{a0}".into(), "ends with a no-break space (U+00A0)"),
        ("\u{200b}passw0rd".into(), "begins with a zero-width character (U+200B)"),
        ("\u{200e}passw0rd".into(), "begins with a mark of the writing direction (U+200E)"),
        ("passw0rd\u{2060}".into(), "ends with a zero-width character (U+2060)"),
        ("passw0rd\u{feff}".into(), "ends with a byte order mark (U+FEFF)"),
        ("passw0rd\u{fffd}".into(), "ends with a replacement character (U+FFFD)"),
        ([b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat(), "is UTF-16"),
        ([b"\xfe\xff".to_vec(), utf16(u16::to_be_bytes)].concat(), "is UTF-16"),
        (utf16(u16::to_le_bytes), "is UTF-16"),
        (utf16(u16::to_be_bytes), "is UTF-16"),
        (b"passw\xf6rd".to_vec(), "is not UTF-8"),
        (b"-----BEGIN PRIVATE KEY-----\npassw0rd".to_vec(), "holds a PEM section, not a password"),
        (b"# -----BEGIN w0rd".to_vec(), "holds a PEM section, not a password"),
        (b"\n".to_vec(), "is empty"),
        (MARK.into(), "is empty"),
    ] {
        checked.assert_refused(checked.with_file("user", &content), told).await;
        let variable = String::from_utf8(content).ok().filter(|text| !text.contains('\0'));
        if let Some(variable) = variable.filter(|_| told != "is empty") {
            let told = format!("GATEWAY_EM_PASSWORD: {told}");
            checked.assert_refused(checked.with_variable("user", &variable), &told).await;
        }
    }
    let mut command = checked.with_variable("user", "");
    command.env("GATEWAY_EM_PASSWORD", OsString::from_vec(b"passw\xf6rd".to_vec()));
    checked.assert_refused(command, "GATEWAY_EM_PASSWORD: is not UTF-8").await;
    checked.assert_refused(checked.with_variable("user", "\n"), "is required").await;
}

#[tokio::test]
async fn a_user_name_that_no_account_can_have_is_never_sent() {
    let checked = Checked::new("user", "secret").await;
    for (name, told) in [
        ("\"user\"", "begins with a quotation mark (U+0022)"),
        ("'user'", "begins with a quotation mark (U+0027)"),
        ("user\"", "ends with a quotation mark (U+0022)"),
        ("\u{201c}user\u{201d}", "begins with a quotation mark (U+201C)"),
        (" user", "begins with a blank (U+0020)"),
        ("user ", "ends with a blank (U+0020)"),
        ("user\n\n", "ends with a line feed (U+000A)"),
        ("us\ner", "has inside a line feed (U+000A)"),
        ("DOMAIN\tuser", "has inside a tab (U+0009)"),
        ("user\u{a0}", "ends with a no-break space (U+00A0)"),
        ("\u{200b}user", "begins with a zero-width character (U+200B)"),
        ("us\u{fffd}er", "has inside a replacement character (U+FFFD)"),
        ("us:er", "contains a colon"),
        ("\n", "is required"),
    ] {
        let told = format!("--em-username: {told}");
        checked.assert_refused(checked.with_variable(name, "secret"), &told).await;
    }
}

#[tokio::test]
async fn every_variable_may_end_in_a_newline() {
    let checked = Checked::new("user", "secret").await;
    let options = ServeOptions::augment_args(Options::new("serve"));
    let mut command = checked.with_variable("user", "secret");
    command.env("GATEWAY_EM_URL", format!("{}\n", checked.simulator.url()));
    let mut count = 0;
    for option in options.get_arguments() {
        if let [default] = option.get_default_values() {
            let value = format!("\u{feff}{}\r\n", default.to_str().unwrap());
            command.env(option.get_env().unwrap(), value);
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
    let (code, out, err) = run(&mut command).await;
    assert_eq!(code, 0, "{out}{err}");
}

#[tokio::test]
async fn a_mark_in_a_file_of_certificates_pins_or_keys_hides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = format!("{MARK}{}", pair.cert.pem());
    let joined = file("joined.crt", certificate.repeat(2));
    let key = file("tls.key", format!("{MARK}{}", pair.signing_key.serialize_pem()));
    let pin = Pin::of(pair.cert.der());
    let pins = file("pins", format!("{MARK}{pin}\r\n"));
    let token_key = file("token.key", format!("{MARK}{}", "k".repeat(32)));
    let certificate = file("tls.crt", certificate);
    for trust in [["--em-ca-file", &joined], ["--em-pin-file", &pins]] {
        // It ends when it has read all files, since it cannot listen on the address.
        let mut serve = program(&["serve", "--listen=192.0.2.1:1", "--em-username=user"]);
        serve
            .args(["--em-url=https://127.0.0.1:1", "--page-token-key-file", &token_key])
            .args(trust);
        serve.args(["--tls-cert-file", &certificate, "--tls-key-file", &key]);
        serve.args(["--client-ca-file", &joined]).env("GATEWAY_EM_PASSWORD", "secret");
        let (_, _, err) = run(&mut serve).await;
        assert!(err.contains("--listen: 192.0.2.1:1 cannot be listened on"), "{err}");
    }
    let short = file("short.key", format!("{MARK}{}", "k".repeat(31)));
    let mut serve = program(&["serve", "--em-url=https://127.0.0.1:1", "--em-username=user"]);
    serve.args(["--page-token-key-file", &short]).env("GATEWAY_EM_PASSWORD", "secret");
    let (code, _, err) = run(&mut serve).await;
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("fewer than 32 bytes"), "{err}");
}

#[tokio::test]
async fn an_address_or_a_path_with_what_nobody_sees_is_refused_and_names_it() {
    for (variable, value, told) in [
        ("GATEWAY_EM_URL", "\"https://em.example\"", "begins with a quotation mark (U+0022)"),
        (
            "GATEWAY_EM_URL",
            "https://em\u{200b}.example",
            "has inside a zero-width character (U+200B)",
        ),
        ("GATEWAY_EM_CA_FILE", "\"/etc/ca.crt\"", "begins with a quotation mark (U+0022)"),
        ("GATEWAY_EM_CA_FILE", "/etc/ca.crt ", "ends with a blank (U+0020)"),
        ("GATEWAY_EM_PIN_SHA256", "\u{200e}ab", "a mark of the writing direction (U+200E)"),
        ("GATEWAY_LISTEN", "127.0.0.1:1\u{a0}", "a no-break space (U+00A0)"),
        ("GATEWAY_EM_CONCURRENCY", "8\n\n", "a line feed (U+000A)"),
    ] {
        let mut serve = program(&["serve"]);
        serve.envs([
            ("GATEWAY_EM_URL", "https://em.example"),
            ("GATEWAY_EM_USERNAME", "user"),
            ("GATEWAY_EM_PASSWORD", "secret"),
        ]);
        let (code, _, err) = run(serve.env(variable, value)).await;
        assert_eq!(code, 64, "{err}");
        assert!(err.contains(told), "{variable} {value:?}: {err}");
    }
    let mut serve = program(&["serve"]);
    serve.env("GATEWAY_EM_USERNAME", OsString::from_vec(b"J\xf6rg".to_vec()));
    let (code, _, err) = run(&mut serve).await;
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("GATEWAY_EM_USERNAME: is not UTF-8"), "{err}");
}
