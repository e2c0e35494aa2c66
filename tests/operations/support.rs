//! Runs the program as a child process with a simulated Enterprise Manager, and reads its log.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use simulator::{Options, Simulator};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    time::timeout,
};

pub use super::program::{FINISHED, UNKNOWN, program, run};
use super::program::{SOON, signal};

/// `serve` as a child process, with its log parsed as JSON.
pub struct Serving {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    /// Address for callers.
    pub address: String,
    /// Address of the admin listener.
    pub admin: String,
}

/// Starts a gateway for the Enterprise Manager at `em`, with additional arguments.
pub async fn serve(em: &str, arguments: &[&str]) -> Serving {
    serve_in(em, arguments, &[]).await
}

/// Like [`serve`], with additional environment variables.
pub async fn serve_in(em: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Serving {
    let mut command = program(&[
        "serve",
        "--listen=127.0.0.1:0",
        "--admin-listen=127.0.0.1:0",
        "--em-allow-plaintext",
        r"--em-username=TECH\gateway",
        "--em-url",
        em,
    ]);
    let command = command.args(arguments);
    let mut child = command
        .env("GATEWAY_EM_PASSWORD", "simulated")
        .env("GATEWAY_LAME_DUCK", "0s")
        .env("GATEWAY_LOG_FORMAT", "json")
        .envs(variables.iter().copied())
        .spawn()
        .unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let written = log.clone();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            written.lock().unwrap().push(line);
        }
    });
    let mut serving = Serving { child, log, address: String::new(), admin: String::new() };
    let line = serving.logged("serving").await;
    line["address"].as_str().unwrap().clone_into(&mut serving.address);
    line["admin_address"].as_str().unwrap().clone_into(&mut serving.admin);
    serving
}

/// The metrics of this gateway.
pub async fn metrics(gateway: &Serving) -> String {
    let url = format!("http://{}/metrics", gateway.admin);
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

/// Starts a simulator with default options and a gateway for it.
pub async fn start(arguments: &[&str]) -> (Simulator, Serving) {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let serving = serve(&simulator.url(), arguments).await;
    (simulator, serving)
}

impl Serving {
    /// Runs `get` without the cache; returns exit code, standard output and standard error.
    pub async fn get(&self, id: &str) -> (i32, String, String) {
        let server = format!("--server=http://{}", self.address);
        run(&mut program(&["get", id, "--max-age=0s", &server])).await
    }

    /// All lines of the log whose message contains `text`.
    pub fn all_logged(&self, text: &str) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        let says = |line: &&Value| {
            let message = line["message"].as_str().or(line.as_str());
            message.is_some_and(|message| message.contains(text))
        };
        log.iter().filter(says).cloned().collect()
    }

    /// Waits for the first line of the log whose message contains `text`.
    pub async fn logged(&self, text: &str) -> Value {
        let found = async {
            loop {
                if let Some(line) = self.all_logged(text).into_iter().next() {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = timeout(SOON, found).await;
        found.unwrap_or_else(|_| panic!("{text:?} is not in {:#?}", self.log.lock().unwrap()))
    }

    /// Waits for `text` anywhere in the log.
    pub async fn explained(&self, text: &str) {
        let found = async {
            while !self.whole_log().contains(text) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = timeout(SOON, found).await;
        found.unwrap_or_else(|_| panic!("{text:?} is not in {}", self.whole_log()));
    }

    /// The whole log as text.
    pub fn whole_log(&self) -> String {
        let log = self.log.lock().unwrap();
        let lines: Vec<_> = log.iter().map(Value::to_string).collect();
        lines.join("\n")
    }

    /// Sends a signal, such as `HUP`.
    pub async fn signal(&self, name: &str) {
        signal(&self.child, name).await;
    }

    /// The same, and returns the whole log.
    pub async fn stop_and_read(self) -> Vec<Value> {
        let log = self.log.clone();
        assert_eq!(self.stop().await, 0);
        // The last line, after which the reader of the log has nothing more to add.
        let is_whole = || log.lock().unwrap().iter().any(|line| line["message"] == "stopped");
        while !is_whole() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        log.lock().unwrap().clone()
    }

    /// Sends SIGTERM, waits for the process to exit, and returns its exit code.
    pub async fn stop(mut self) -> i32 {
        self.signal("TERM").await;
        let status = timeout(SOON, self.child.wait()).await.unwrap().unwrap();
        status.code().unwrap()
    }
}
