//! Whether what answers at the address is Enterprise Manager, or one of the usual mix-ups.

use super::{
    outline::Outline,
    trouble::{REST_PORT, Trouble, port_hint},
};
use crate::{cli::ExitCode, enterprise_manager::Answer};
use url::Url;

/// What answers at `/api/` without credentials.
pub(super) enum Found {
    /// Enterprise Manager, and the versions of its API that it offers.
    EnterpriseManager(Vec<String>),
    /// Something that speaks its language, and not as it should: the logon will tell.
    Perhaps(String),
    /// Something else.
    Not(Trouble),
}

/// What an answer to `GET /api/` shows.
pub(super) fn recognise(answer: &Answer, url: &Url) -> Found {
    let outline = Outline::of(&answer.body);
    let root = outline.root().map_or("", |root| root.name.as_str());
    match (answer.status, root) {
        (200, "EnterpriseManager") => Found::EnterpriseManager(versions(&outline)),
        (503, "Error") => Found::Not(Trouble::new(
            ExitCode::UNAVAILABLE,
            "Enterprise Manager says that it is not available, with status 503",
            "it is starting or overloaded: look at its service, and try again",
        )),
        (status, "Error") => Found::Perhaps(format!(
            "answers like Enterprise Manager, but with status {status} at /api/"
        )),
        _ => Found::Not(something_else(answer, url)),
    }
}

/// Versions such as `v1_7`; whatever else a document calls a version is passed over.
fn versions(outline: &Outline) -> Vec<String> {
    let names = outline
        .all("SupportedVersion")
        .filter_map(|version| version.attribute("Name"));
    let is_version = |name: &&str| {
        let number = name.strip_prefix('v').unwrap_or_default();
        let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'_';
        (1..8).contains(&number.len()) && number.bytes().all(is_part)
    };
    names.filter(is_version).map(str::to_owned).collect()
}

fn something_else(answer: &Answer, url: &Url) -> Trouble {
    let status = answer.status;
    let header = |name: &str| {
        let value = answer
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_ascii_lowercase()
    };
    let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(64 * 1024)]);
    let text = text.to_ascii_lowercase();
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let media_type = header("content-type");
    let is_html = media_type.contains("html") || start.starts_with('<') && text.contains("<html");
    let is_json = media_type.contains("json") || start.starts_with(['{', '[']);
    let is_windows = header("server").contains("microsoft-httpapi");
    let hint = port_hint(url);

    if text.contains("veeam backup enterprise manager") && is_html {
        return Trouble::new(
            ExitCode::CONFIGURATION,
            "this is Enterprise Manager's web UI, not its REST service",
            format!("change the port in --em-url; {REST_PORT}{hint}"),
        );
    }
    if is_json || header("www-authenticate").starts_with("bearer") {
        return Trouble::new(
            ExitCode::CONFIGURATION,
            format!(
                "status {status} in JSON: most likely the backup server's own REST service (port \
                 9419), which is another product"
            ),
            format!("give the address of the Enterprise Manager in --em-url; {REST_PORT}{hint}"),
        );
    }
    match status {
        300..400 => Trouble::new(
            ExitCode::CONFIGURATION,
            format!("status {status}, a redirect: a web UI, or the login of a proxy"),
            format!("Enterprise Manager never redirects: correct --em-url; {REST_PORT}{hint}"),
        ),
        407 => Trouble::new(
            ExitCode::CONFIGURATION,
            "status 407: a proxy that wants a logon of its own",
            "let this machine reach Enterprise Manager without a proxy",
        ),
        404 if is_windows => Trouble::new(
            ExitCode::CONFIGURATION,
            "status 404 from Windows itself: no Enterprise Manager is registered at this address",
            "start Enterprise Manager's service, or correct the path in --em-url (usually none)",
        ),
        503 if is_windows => Trouble::new(
            ExitCode::UNAVAILABLE,
            "status 503 from Windows itself, in Enterprise Manager's place",
            "start Enterprise Manager's service",
        ),
        502..=504 => Trouble::new(
            ExitCode::UNAVAILABLE,
            format!("status {status} from a proxy or load balancer: it gets no answer itself"),
            "look whether Enterprise Manager runs, and at what the proxy passes on to",
        ),
        _ if is_html => Trouble::new(
            ExitCode::CONFIGURATION,
            format!("status {status} and an HTML page: a proxy, or another web server"),
            format!(
                "let this machine reach Enterprise Manager directly, or correct --em-url; {REST_PORT}{hint}"
            ),
        ),
        500..600 => Trouble::new(
            ExitCode::SOFTWARE,
            format!("status {status}, and nothing that tells who says so"),
            format!("look at Enterprise Manager's own log{hint}"),
        ),
        _ => Trouble::new(
            ExitCode::CONFIGURATION,
            format!("status {status}, and nothing that Enterprise Manager would say"),
            format!("correct --em-url; {REST_PORT}{hint}"),
        ),
    }
}
