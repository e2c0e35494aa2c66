//! Recognises whether the server at the address is Enterprise Manager, or something that is often
//! mistaken for it.

use quick_xml::{events::Event, reader::Reader};
use url::Url;
use uuid::Uuid;

use super::problem::{Problem, REST_PORT, port_hint};
use crate::enterprise_manager::{EmResponse, ForeignBody, foreign_body};

/// What answers at `/api/` without credentials.
pub(super) enum Recognised {
    /// Enterprise Manager, and the versions of its API that it offers.
    EnterpriseManager(Vec<String>),
    /// The answer is an `Error` document like Enterprise Manager's, with this status: the logon
    /// will show what it is.
    Perhaps(u16),
}

/// What an answer to `GET /api/` shows.
///
/// # Errors
///
/// The server is not Enterprise Manager; says what it is instead.
pub(super) fn recognise(answer: &EmResponse, url: &Url) -> Result<Recognised, Problem> {
    let (root, versions) = root_and_versions(&answer.body);
    match (answer.status.as_u16(), root.as_str()) {
        (200, "EnterpriseManager") => Ok(Recognised::EnterpriseManager(versions)),
        (503, "Error") => Err(Problem::unavailable(
            "Enterprise Manager says that it is not available, with status 503",
            "it is starting or overloaded: check its service, and try again",
        )),
        (status, "Error") => Ok(Recognised::Perhaps(status)),
        _ => Err(something_else(answer, url)),
    }
}

/// The ids in the `UID`s of sessions in a document, each with the text up to the next one. The
/// document need not be well-formed.
pub(super) fn session_uids(document: &str) -> impl Iterator<Item = (Uuid, &str)> {
    let behind = document.split("urn:veeam:ReplicaJobSession:").skip(1);
    behind.filter_map(|text| Some((text.get(..36)?.parse().ok()?, &text[36..])))
}

/// The name of the root element, and the API versions in the document, such as `v1_7`, as far as the
/// document can be read.
fn root_and_versions(body: &[u8]) -> (String, Vec<String>) {
    let is_version = |name: &str| {
        let number = name.strip_prefix('v').unwrap_or_default();
        let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'_';
        (1..8).contains(&number.len()) && number.bytes().all(is_part)
    };
    let text = String::from_utf8_lossy(body);
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut root = None;
    let mut versions = Vec::new();
    loop {
        let start = match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => start,
            Ok(Event::Eof) | Err(_) => return (root.unwrap_or_default(), versions),
            Ok(_) => continue,
        };
        let name = start.local_name().as_ref().to_owned();
        if name == "SupportedVersion"
            && let Ok(Some(version)) = start.try_get_attribute("Name")
            && is_version(&version.value)
        {
            versions.push(version.value.into_owned());
        }
        root.get_or_insert(name);
    }
}

fn something_else(answer: &EmResponse, url: &Url) -> Problem {
    let status = answer.status.as_u16();
    let header = |name: &str| {
        let value = answer.headers.get(name);
        let value = value.and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_ascii_lowercase()
    };
    let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(64 * 1024)])
        .to_ascii_lowercase();
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let media_type = header("content-type");
    let is_html = media_type.contains("html") || start.starts_with('<') && text.contains("<html");
    let is_json = media_type.contains("json") || start.starts_with(['{', '[']);
    let is_windows = header("server").contains("microsoft-httpapi");
    let hint = port_hint(url);

    let body = foreign_body(answer);
    if let Some(body @ (ForeignBody::Compressed(_) | ForeignBody::EmJson)) = body
        && !matches!(status, 502..=504)
    {
        return Problem::misconfigured(
            format!("status {status} and {body}"),
            "let the proxy leave requests and answers as they are, or reach Enterprise Manager without it",
        );
    }
    if text.contains("veeam backup enterprise manager") && is_html {
        return Problem::misconfigured(
            "this is Enterprise Manager's web UI, not its REST service",
            format!("change the port in --em-url; {REST_PORT}{hint}"),
        );
    }
    if is_json || header("www-authenticate").starts_with("bearer") {
        return Problem::misconfigured(
            format!(
                "status {status} in JSON: most likely the backup server's own REST service (port \
                 9419), which is another product"
            ),
            format!("use the address of the Enterprise Manager in --em-url; {REST_PORT}{hint}"),
        );
    }
    match status {
        300..400 => Problem::misconfigured(
            format!("status {status}, a redirect: a web UI, or the login page of a proxy"),
            format!("Enterprise Manager never redirects: correct --em-url; {REST_PORT}{hint}"),
        ),
        407 => Problem::misconfigured(
            "status 407: a proxy that requires authentication",
            "let this machine reach Enterprise Manager without a proxy",
        ),
        404 if is_windows => Problem::misconfigured(
            "status 404 from Windows itself: no Enterprise Manager is registered at this address",
            "start Enterprise Manager's service, or correct the path in --em-url (usually none)",
        ),
        503 if is_windows => Problem::unavailable(
            "status 503 from Windows itself, not from Enterprise Manager",
            "start Enterprise Manager's service",
        ),
        502..=504 => Problem::unavailable(
            format!(
                "status {status} from a proxy or load balancer that gets no answer from its server"
            ),
            "check that Enterprise Manager is running, and where the proxy forwards requests to",
        ),
        _ if is_html => Problem::misconfigured(
            format!("status {status} and an HTML page: a proxy, or another web server"),
            format!(
                "let this machine reach Enterprise Manager directly, or correct --em-url; {REST_PORT}{hint}"
            ),
        ),
        500..600 => Problem::broken(
            format!("status {status}, and nothing shows which server sent it"),
            format!("check Enterprise Manager's own log{hint}"),
        ),
        _ => Problem::misconfigured(
            format!("status {status}, with content that Enterprise Manager never sends"),
            format!("correct --em-url; {REST_PORT}{hint}"),
        ),
    }
}
