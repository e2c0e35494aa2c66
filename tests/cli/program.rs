//! The program under test, run as a child process.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines},
    process::{Child, Command},
    time::timeout,
};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_replica-session-gateway");

/// A finished session of the simulator.
pub const FINISHED: &str = "04f694ad-664c-4603-a747-00edecae4f17";

/// An id that is unknown to the simulator.
pub const UNKNOWN: &str = "b6f1a9d2-30f4-4c0e-9a53-0d1c52e8f0ff";

/// A timeout that is generous for a loaded machine; a passing test never waits for it.
pub const SOON: Duration = Duration::from_secs(30);

/// The program without settings from the environment.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a command; returns exit code, standard output and standard error.
pub async fn run(command: &mut Command) -> (i32, String, String) {
    let output = timeout(SOON, command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// `serve` for this Enterprise Manager, once it serves, and its address.
pub async fn serving(em: &str, arguments: &[&str]) -> (Child, String) {
    let mut serve = program(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
        .args([r"--em-username=TECH\gateway", "--lame-duck=0s"])
        .arg(format!("--em-url={em}"))
        .args(arguments)
        .env("GATEWAY_EM_PASSWORD", "simulated")
        .spawn()
        .unwrap();
    let address = after(&mut lines(serve.stderr.take()), "serving address=").await;
    (serve, address)
}

/// The lines of an output of a child process.
pub fn lines<R: AsyncRead + Unpin>(from: Option<R>) -> Lines<BufReader<R>> {
    BufReader::new(from.unwrap()).lines()
}

/// The rest of the first line that contains `mark`, up to a blank or a quotation mark.
pub async fn after<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>, mark: &str) -> String {
    let found = async {
        loop {
            let line = lines.next_line().await.unwrap().expect(mark);
            if let Some((_, rest)) = line.split_once(mark) {
                let end = rest.find([' ', '"']).unwrap_or(rest.len());
                return rest[..end].to_owned();
            }
        }
    };
    timeout(SOON, found).await.expect(mark)
}

/// Sends a signal, such as TERM.
pub async fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id().unwrap());
    let status = Command::new("sh").args(["-c", &kill]).status().await;
    assert!(status.unwrap().success());
}
