//! `/status`, and the settings in the log.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Fault, RUNNING_SESSION_ID};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::support::{FINISHED, Serving, metrics, program, start};

const PAGE: &str = include_str!("../../docs/status.md");

/// `/status` of this gateway.
pub async fn status(gateway: &Serving) -> Value {
    let mut stream = TcpStream::connect(&gateway.admin).await.unwrap();
    let request = b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(!body.contains("simulated"), "the password: {body}");
    serde_json::from_str(body).unwrap()
}

/// Collects the fields of an object and of nested objects as dotted paths.
fn paths(value: &Value, path: &str, all: &mut Vec<String>) {
    match value.as_object() {
        Some(object) if path != "settings" => {
            for (name, inner) in object {
                let path = format!("{path}.{name}");
                paths(inner, path.trim_start_matches('.'), all);
            }
        }
        _ => all.push(path.to_owned()),
    }
}

#[tokio::test]
async fn status_reports_the_health_of_enterprise_manager() {
    let (simulator, gateway) = start(&["--lame-duck=1s"]).await;
    let at_first = status(&gateway).await;
    let em = &at_first["enterprise_manager"];
    assert_eq!(em["answers"], "unknown");
    assert_eq!(em["last_success"], Value::Null);
    assert_eq!(em["last_failure"], Value::Null);
    assert_eq!(em["logon"]["state"], "logged_off");
    assert_eq!(em["circuit"], "closed");
    assert_eq!(at_first["ready"], true);
    assert_eq!(at_first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(at_first["revision"], json!(option_env!("SOURCE_REVISION")));
    assert_eq!(at_first["features"], json!(["simulator"]));
    let certificates = &at_first["certificates"];
    assert_eq!(*certificates, json!({"listener": null, "enterprise_manager": null}));

    assert_eq!(gateway.get(FINISHED).await.0, 0);
    let well = status(&gateway).await;
    let em = &well["enterprise_manager"];
    assert_eq!(em["answers"], "yes");
    assert_eq!(em["logon"]["state"], "logged_on");
    assert!(em["logon"]["age_seconds"].is_u64());
    assert!(em["last_success"]["age_seconds"].is_u64());

    let fault: Fault = "503".parse().unwrap();
    simulator.set_faults([fault]);
    assert_eq!(gateway.get(FINISHED).await.0, 69);
    let ill = status(&gateway).await;
    let em = &ill["enterprise_manager"];
    assert_eq!(em["answers"], "no");
    assert_eq!(em["last_failure"]["reason"], "EM_UNAVAILABLE");
    let remedy = em["last_failure"]["remedy"].as_str().unwrap();
    assert!(remedy.contains("make sure that Enterprise Manager is running"), "{remedy}");
    // The log line of the call has the same remedy.
    assert_eq!(gateway.logged("call failed").await["remedy"], remedy);

    let mut fields = Vec::new();
    paths(&ill, "", &mut fields);
    assert!(fields.len() > 12, "{fields:?}");
    for field in fields {
        let (parent, last) = field.rsplit_once('.').unwrap_or(("", &field));
        let documented = PAGE.contains(&format!("`{field}`"))
            || (PAGE.contains(&format!("`{parent}`")) && PAGE.contains(&format!("`{last}`")));
        assert!(documented, "{field} is not in docs/status.md");
    }
}

#[tokio::test]
async fn status_and_metrics_say_who_follows_what_and_how_late() {
    let (simulator, gateway) = start(&["--watch-interval=1s", "--watch-interval-max=1s"]).await;
    let nothing = &status(&gateway).await["watches"];
    let none = json!({"sessions": 0, "sessions_in_outage": 0, "filters": 0, "filters_in_outage": 0, "followers": 0,
        "followed_sessions": 0, "followed_sessions_limit": 106_250, "followed_sessions_unreadable": 0, "oldest_look_seconds": null});
    assert_eq!(*nothing, none);
    let server = format!("--server=http://{}", gateway.address);
    let follow = |filter| {
        let mut child = program(&["follow", &server, "--json", filter]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    };
    let mut followers = ["--retry=false", "--retry=false", "--state=working"].map(follow);
    for (_, lines) in &mut followers {
        lines.next_line().await.unwrap().unwrap();
    }
    let told = &status(&gateway).await["watches"];
    assert_eq!((&told["followers"], &told["filters"]), (&json!(3), &json!(2)), "{told}");
    assert!(told["followed_sessions"].as_u64() >= Some(2), "{told}");
    assert!(told["oldest_look_seconds"].is_u64(), "{told}");
    // What both filters have counts twice, and is no outage.
    simulator.set_faults([format!("unreadable={RUNNING_SESSION_ID}").parse::<Fault>().unwrap()]);
    let told = async {
        loop {
            let told = status(&gateway).await["watches"].take();
            if told["followed_sessions_unreadable"] == 2 {
                return told;
            }
        }
    };
    let told = timeout(Duration::from_secs(30), told).await.unwrap();
    assert_eq!(told["filters_in_outage"], 0, "{told}");
    let text = metrics(&gateway).await;
    assert!(text.contains("gateway_followed_sessions_unreadable 2\n"), "{text}");
    simulator.set_faults(["503".parse::<Fault>().unwrap()]);
    for (_, lines) in &mut followers {
        while !lines.next_line().await.unwrap().unwrap().starts_with("{\"outage\"") {}
    }
    let told = &status(&gateway).await["watches"];
    assert_eq!(told["filters_in_outage"], 2, "{told}");
    let text = metrics(&gateway).await;
    for line in [
        "gateway_followers 3",
        "gateway_followed_filters 2",
        "gateway_watch_outages{of=\"filters\"} 2",
        "gateway_watch_outages{of=\"sessions\"} 0",
        "gateway_follow_events_total{event=\"missed\"} 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    for counted in [
        "gateway_follow_looks_total{outcome=\"answered\"} ",
        "gateway_follow_looks_total{outcome=\"failed\"} ",
        "gateway_follow_look_seconds_count ",
        "gateway_follow_events_total{event=\"change\"} ",
        "gateway_follow_events_total{event=\"outage\"} ",
    ] {
        let count = text.lines().find_map(|line| line.strip_prefix(counted));
        assert!(count.unwrap().parse::<u64>().unwrap() >= 2, "{counted}: {text}");
    }
    drop(followers);
    // Only the sessions are kept, for who comes back.
    let all_left = async {
        loop {
            let mut told = status(&gateway).await["watches"].take();
            let kept = told["followed_sessions"].take();
            told["followed_sessions"] = json!(0);
            if told == none {
                return kept;
            }
        }
    };
    let kept = timeout(Duration::from_secs(30), all_left).await.unwrap();
    assert!(kept.as_u64() >= Some(2), "{kept}");
    let text = metrics(&gateway).await;
    for gauge in ["followers 0", "followed_filters 0", &format!("followed_sessions {kept}")] {
        assert!(text.contains(&format!("gateway_{gauge}\n")), "{gauge}: {text}");
    }
    assert!(text.contains("gateway_watch_outages{of=\"filters\"} 0\n"), "{text}");
}

#[tokio::test]
async fn a_limit_on_requests_is_told_from_an_outage() {
    let (simulator, gateway) = start(&[]).await;
    simulator.set_faults(["429".parse::<Fault>().unwrap()]);
    assert_eq!(gateway.get(FINISHED).await.0, 69);
    let failure = &status(&gateway).await["enterprise_manager"]["last_failure"];
    assert_eq!(failure["reason"], "EM_UNAVAILABLE");
    let remedy = failure["remedy"].as_str().unwrap();
    assert!(remedy.contains("lower --em-concurrency"), "{remedy}");
    assert_eq!(gateway.logged("call failed").await["remedy"], remedy);
}

#[tokio::test]
async fn a_rejected_password_is_reported_as_a_paused_logon() {
    let (simulator, gateway) = start(&[]).await;
    simulator.set_password(r"TECH\gateway", "another");
    assert_eq!(gateway.get(FINISHED).await.0, 78);
    let em = &status(&gateway).await["enterprise_manager"];
    assert_eq!(em["logon"]["suspended"], true);
    assert_eq!(em["logon"]["state"], "paused");
    assert_eq!(em["last_failure"]["reason"], "EM_CREDENTIALS_REJECTED");
}

#[tokio::test]
async fn settings_are_logged_and_in_the_status_with_their_origins() {
    let pins = format!("{},{}", "a".repeat(64), "b".repeat(64));
    let pins_option = format!("--em-pin-sha256={pins}");
    let arguments = ["--max-in-flight=77", "--em-ca-file=", &pins_option];
    let (simulator, gateway) = start(&arguments).await;
    let line = gateway.logged("settings in effect").await;
    assert_eq!(line["max_in_flight"], "77");
    assert_eq!(line["em_password_file"], "GATEWAY_EM_PASSWORD");
    assert_eq!(line["default_deadline"], "10s");
    assert_eq!(line["em_url"], format!("{}/", simulator.url()));
    let origins = line["origins"].as_str().unwrap();
    assert!(origins.contains("max_in_flight=flag"), "{origins}");
    assert!(origins.contains("lame_duck=environment"), "{origins}");
    assert!(!origins.contains("max_watches"), "{origins}");
    let settings = &status(&gateway).await["settings"];
    assert_eq!(settings["max_in_flight"], json!({"value": "77", "origin": "flag"}));
    assert_eq!(settings["em_pin_sha256"], json!({"value": pins, "origin": "flag"}));
    assert_eq!(settings["em_ca_file"]["value"], Value::Null);
    assert_eq!(settings["lame_duck"], json!({"value": "0s", "origin": "environment"}));
    assert_eq!(settings["max_watches"], json!({"value": "10000", "origin": "default"}));
    assert!(!gateway.whole_log().contains("simulated"), "the password");
}
