//! Every failure has a code, a reason and details, and discloses nothing that is for the operator
//! only.

use std::collections::BTreeSet;

use replica_session_gateway::{gateway::reasons::TABLE, proto::v1::GetReplicaSessionRequest};
use simulator::{Canned, Role};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::support::{
    FINISHED, Setup, UNKNOWN, USERNAME, canned, fault, fixture, get, reason, request, send, start,
};

/// Reads the finished session while EM answers with `status` and a body of `media_type`.
async fn read_with(setup: &Setup, status: u16, media_type: &str, body: &[u8]) -> Status {
    let mut canned = canned(media_type, body);
    canned.status = status.try_into().unwrap();
    setup.simulator.answer_with(FINISHED, canned);
    get(&setup.client, FINISHED).await.unwrap_err()
}

type Change = Box<dyn Fn(&mut GetReplicaSessionRequest)>;

fn assert_failure(status: &Status, code: Code, expected: &str, what: &str) {
    assert_eq!(status.code(), code, "{what}: {status:?}");
    assert_eq!(reason(status), expected, "{what}");
    assert!(status.message().len() <= 1024, "{what}");
    for secret in ["127.0.0.1", "localhost", "esx07", "Object reference", "at Example", "role"] {
        let failure = format!("{} {:?}", status.message(), status.get_error_details());
        let failure = failure.replace("the role Portal User", "");
        assert!(!failure.contains(secret), "{what}: {secret} is failure: {failure}");
    }
}

const XML: &str = "application/xml";
const HTML: &str = "text/html";
const JSON: &str = "application/json";

/// A body of another product, which is no fixture.
const FOREIGN: &str = r#"{"errorCode":"AccessDenied","message":"no"}"#;

/// EM's response (status, media type, fixture), and the code and reason that the caller gets.
#[rustfmt::skip]
const ANSWERS: &[(u16, &str, &str, Code, &str)] = &[
    (400, XML, "error-400.xml", Code::Internal, "EM_REQUEST_REFUSED"),
    (400, JSON, "error-400-recorded.json", Code::Internal, "EM_REQUEST_REFUSED"),
    (403, XML, "error-403.xml", Code::PermissionDenied, "EM_ACCESS_DENIED"),
    (404, XML, "error-404.xml", Code::NotFound, "SESSION_NOT_FOUND"),
    (404, HTML, "web-ui-login.html", Code::Unavailable, "NOT_ENTERPRISE_MANAGER"),
    (405, XML, "error-405.xml", Code::Internal, "EM_REQUEST_REFUSED"),
    (400, HTML, "proxy-502.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (401, HTML, "proxy-502.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (403, HTML, "proxy-502.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (404, JSON, "error-400-recorded.json", Code::NotFound, "SESSION_NOT_FOUND"),
    (405, XML, "proxy-502.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (411, HTML, "http-layer-411.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (413, HTML, "proxy-502.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (414, HTML, "proxy-502.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (431, HTML, "proxy-502.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (500, XML, "error-500-recorded.xml", Code::Internal, "EM_INTERNAL_ERROR"),
    (500, XML, "error-500-stack-trace.xml", Code::Internal, "EM_INTERNAL_ERROR"),
    (500, XML, "error-500-unknown-id.xml", Code::NotFound, "SESSION_NOT_FOUND"),
    (400, JSON, FOREIGN, Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (401, JSON, FOREIGN, Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (403, JSON, FOREIGN, Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (404, JSON, FOREIGN, Code::Unavailable, "NOT_ENTERPRISE_MANAGER"),
    (408, JSON, FOREIGN, Code::Unavailable, "EM_UNAVAILABLE"),
    (422, XML, FOREIGN, Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (429, JSON, FOREIGN, Code::Unavailable, "EM_UNAVAILABLE"),
    (400, "application/problem+json", FOREIGN, Code::Internal, "EM_REQUEST_REFUSED"),
    (501, XML, "error-501.xml", Code::Unimplemented, "EM_NOT_IMPLEMENTED"),
    (501, HTML, "web-ui-login.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (502, HTML, "proxy-502.html", Code::Unavailable, "EM_UNAVAILABLE"),
    (503, XML, "error-503.xml", Code::Unavailable, "EM_UNAVAILABLE"),
    (503, HTML, "http-layer-503.html", Code::Unavailable, "EM_UNAVAILABLE"),
    (504, HTML, "proxy-502.html", Code::Unavailable, "EM_UNAVAILABLE"),
    (429, HTML, "proxy-502.html", Code::Unavailable, "EM_UNAVAILABLE"),
    (407, HTML, "proxy-502.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (302, HTML, "web-ui-login.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (200, HTML, "web-ui-login.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (200, XML, "web-ui-login.html", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (200, JSON, "session-entity-v12.json", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (200, XML, "session-entity-v13.json", Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER"),
    (200, XML, "error-404.xml", Code::NotFound, "SESSION_NOT_FOUND"),
    (200, XML, "error-403.xml", Code::PermissionDenied, "EM_ACCESS_DENIED"),
    (200, XML, "session-reference.xml", Code::Internal, "EM_BAD_RESPONSE_WRONG_ROOT"),
    (200, XML, "session-failed.xml", Code::Internal, "EM_BAD_RESPONSE_WRONG_SESSION"),
    (200, "application/xml; charset=utf-16", "session-entity-documented-13.1.xml", Code::Internal, "EM_BAD_RESPONSE_MALFORMED"),
];

#[tokio::test]
async fn every_response_that_is_not_a_session_has_its_code_and_reason() {
    let setup = start().await;
    for (status, media_type, body, code, expected) in ANSWERS {
        let content = if *body == FOREIGN { body.as_bytes().to_vec() } else { fixture(body) };
        let failure = read_with(&setup, *status, media_type, &content).await;
        let what = format!("{status} {media_type} {body}");
        assert_failure(&failure, *code, expected, &what);
    }
}

#[tokio::test]
async fn a_401_or_403_with_a_page_causes_no_new_logon_unless_it_has_em_s_challenge() {
    let setup = start().await;
    for status in [401, 403] {
        let failure = read_with(&setup, status, HTML, &fixture("proxy-502.html")).await;
        let what = format!("{status} with a page");
        assert_failure(&failure, Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER", &what);
    }
    // Nor does a page that repeats the token, whose text is not looked at.
    let received = setup.simulator.requests().pop().unwrap();
    let token = received.headers["x-restsvcsessionid"].to_str().unwrap();
    let page = format!("<html>{token}</html>");
    let failure = read_with(&setup, 401, "", page.as_bytes()).await;
    assert_failure(&failure, Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER", "token repeated");
    assert_eq!(setup.simulator.counts().logons_accepted, 1);

    let mut canned = canned(HTML, fixture("proxy-502.html"));
    canned.status = 401_u16.try_into().unwrap();
    canned.headers.insert("www-authenticate", "Basic Realm=RestSvc".parse().unwrap());
    setup.simulator.answer_with(FINISHED, canned);
    let failure = get(&setup.client, FINISHED).await.unwrap_err();
    let what = "EM's own 401";
    assert_failure(&failure, Code::FailedPrecondition, "EM_CREDENTIALS_REJECTED", what);
    assert_eq!(setup.simulator.counts().logons_accepted, 2);
}

#[tokio::test]
async fn a_compressed_answer_is_not_read_as_xml() {
    let setup = start().await;
    let session = fixture("session-entity-documented-13.1.xml");
    for (encoding, body) in [("gzip", b"\x1f\x8b\x08\0".to_vec()), ("br", session)] {
        for status in [200_u16, 404] {
            let mut canned = canned(XML, body.clone());
            canned.status = status.try_into().unwrap();
            canned.headers.insert("content-encoding", encoding.parse().unwrap());
            setup.simulator.answer_with(FINISHED, canned);
            let failure = get(&setup.client, FINISHED).await.unwrap_err();
            let what = format!("{status}, {encoding}");
            assert_failure(&failure, Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER", &what);
        }
    }
}

#[tokio::test]
async fn a_404_without_an_error_document_does_not_mean_a_missing_session() {
    let setup = start().await;
    let failure = read_with(&setup, 404, "application/xml", b"").await;
    assert_failure(&failure, Code::Unavailable, "NOT_ENTERPRISE_MANAGER", "empty 404");
}

#[tokio::test]
async fn unusable_documents_have_a_reason_each() {
    let setup = start().await;
    let good = String::from_utf8(fixture("session-entity-documented-13.1.xml")).unwrap();
    let huge = format!("{good}{}", " ".repeat(1024 * 1024));
    for (body, expected) in [
        (good.replace("</State>", "</Stat>"), "EM_BAD_RESPONSE_MALFORMED"),
        (good[..good.len() / 2].to_owned(), "EM_BAD_RESPONSE_TRUNCATED"),
        (huge, "EM_BAD_RESPONSE_TOO_LARGE"),
        (
            good.replace("<ReplicaJobSession ", "<!DOCTYPE x><ReplicaJobSession "),
            "EM_BAD_RESPONSE_FORBIDDEN",
        ),
        (good.replace("<Progress>100", "<Progress>2147483648"), "EM_BAD_RESPONSE_INVALID_FIELD"),
    ] {
        let failure = read_with(&setup, 200, "application/xml", body.as_bytes()).await;
        assert_failure(&failure, Code::Internal, expected, expected);
    }
}

#[tokio::test]
async fn not_found_names_the_resource_and_the_delay_of_em_s_data() {
    let setup = start().await;
    for style in [None, Some("unknown-id=500")] {
        setup.simulator.set_faults(style.map(fault));
        let failure = get(&setup.client, UNKNOWN).await.unwrap_err();
        assert_failure(&failure, Code::NotFound, "SESSION_NOT_FOUND", "unknown id");
        assert!(failure.message().contains("15 minutes"));
        let details = failure.get_error_details();
        let resource = details.resource_info().unwrap();
        assert_eq!(resource.resource_type, "ReplicaJobSession");
        assert_eq!(resource.resource_name, format!("urn:veeam:ReplicaJobSession:{UNKNOWN}"));
        assert_eq!(details.error_info().unwrap().metadata["id"], UNKNOWN);
    }
}

#[tokio::test]
async fn an_invalid_request_names_its_field_and_never_reaches_em() {
    let setup = start().await;
    let duration = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let changes: Vec<(Change, &str, &str)> = vec![
        (Box::new(|r| r.id = String::new()), "id", "INVALID_ID"),
        (Box::new(|r| r.id = "x".repeat(20_000)), "id", "INVALID_ID"),
        (Box::new(|r| r.id = format!("{FINISHED}/../../logonSessions")), "id", "INVALID_ID"),
        (Box::new(|r| r.id = format!("urn:veeam:Job:{FINISHED}")), "id", "INVALID_ID"),
        (Box::new(|r| r.view = 77), "view", "INVALID_VIEW"),
        (Box::new(move |r| r.max_age = duration(-1, 0)), "max_age", "INVALID_MAX_AGE"),
        (Box::new(move |r| r.max_age = duration(0, -1)), "max_age", "INVALID_MAX_AGE"),
        (Box::new(move |r| r.max_age = duration(i64::MAX, 0)), "max_age", "INVALID_MAX_AGE"),
    ];
    let ids = [
        &FINISHED.replace('-', ""),
        &format!("{{{FINISHED}}}"),
        &format!("urn:uuid:{FINISHED}"),
        "urn:veeam:ReplicaJobSession:",
        &format!(" {FINISHED}"),
        &format!("{FINISHED}\n"),
        &FINISHED.replace('4', "g"),
        &format!("{FINISHED}?format=Entity"),
        "réplique-664c-4603-a747-00edecae4f17",
    ];
    let ids = ids.map(str::to_owned).map(|id| -> (Change, &str, &str) {
        (Box::new(move |r| r.id.clone_from(&id)), "id", "INVALID_ID")
    });
    for (change, field, expected) in changes.into_iter().chain(ids) {
        let mut question = request(FINISHED);
        change(question.get_mut());
        let failure = send(&setup.client, question).await.unwrap_err();
        assert_failure(&failure, Code::InvalidArgument, expected, field);
        let details = failure.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
    }
    assert_eq!(setup.simulator.counts().requests, 0);
}

#[tokio::test]
async fn a_malformed_grpc_timeout_is_rejected() {
    let setup = start().await;
    for wrong in ["soon", "", "S", "5", "5s", "-5S", "+5S", "5 S", "1.5S", "0x5S"] {
        let mut question: Request<_> = request(FINISHED);
        question.metadata_mut().insert("grpc-timeout", wrong.parse().unwrap());
        let failure = send(&setup.client, question).await.unwrap_err();
        assert_failure(&failure, Code::InvalidArgument, "INVALID_TIMEOUT", wrong);
    }
}

#[tokio::test]
async fn an_account_without_the_role_has_its_own_reason_and_causes_no_new_logon() {
    let setup = start().await;
    setup.simulator.set_role(USERNAME, Role::RestoreOperator);
    for _ in 0..5 {
        let failure = get(&setup.client, FINISHED).await.unwrap_err();
        assert_failure(&failure, Code::PermissionDenied, "EM_ACCESS_DENIED", "restore operator");
    }
    assert_eq!(setup.simulator.counts().logons_accepted, 1);
}

#[tokio::test]
async fn em_s_retry_after_is_passed_on() {
    let setup = start().await;
    for (asked, told_to_wait) in [("120", 120), ("18446744073709551615", 900), ("0", 1)] {
        setup.simulator.set_faults([fault(&format!("503,retry-after={asked}"))]);
        let failure = get(&setup.client, FINISHED).await.unwrap_err();
        assert_failure(&failure, Code::Unavailable, "EM_UNAVAILABLE", "503");
        let delay = failure.get_error_details().retry_info().unwrap().retry_delay;
        assert_eq!(delay.unwrap().as_secs(), told_to_wait);
    }
}

#[tokio::test]
async fn a_logon_answered_by_something_other_than_em_has_its_own_reason() {
    let setup = start().await;
    let page = canned("text/html", fixture("web-ui-login.html"));
    setup.simulator.answer_logon_with(page);
    let failure = get(&setup.client, FINISHED).await.unwrap_err();
    assert_failure(&failure, Code::FailedPrecondition, "NOT_ENTERPRISE_MANAGER", "web UI");

    let setup = start().await;
    let mut refused = Canned::xml(fixture("error-404.xml"));
    refused.status = 404.try_into().unwrap();
    setup.simulator.answer_logon_with(refused);
    let failure = get(&setup.client, FINISHED).await.unwrap_err();
    assert_failure(&failure, Code::Unavailable, "NOT_ENTERPRISE_MANAGER", "wrong path");
}

#[tokio::test]
async fn a_404_whose_message_has_a_reference_to_nul_is_still_about_the_session() {
    let setup = start().await;
    let message = String::from_utf8(fixture("error-404.xml")).unwrap();
    let mut canned = Canned::xml(message.replacen("Message=\"", "Message=\"&#x0;", 1));
    canned.status = 404.try_into().unwrap();
    setup.simulator.answer_with(FINISHED, canned);
    let failure = get(&setup.client, FINISHED).await.unwrap_err();
    assert_failure(&failure, Code::NotFound, "SESSION_NOT_FOUND", "a reference to U+0000");
}

#[test]
fn the_document_for_callers_lists_every_reason() {
    let document = include_str!("../../docs/errors.md");
    let (reasons, _limits) = document.split_once("\n## Which limit refused a call\n").unwrap();
    let documented: BTreeSet<_> = reasons
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            let reason = cells.next()?.trim_matches('`').to_owned();
            Some((reason, cells.next()?.to_owned()))
        })
        .collect();
    let implemented: BTreeSet<_> =
        TABLE.iter().map(|row| (row.reason.to_owned(), code_name(row.code))).collect();
    assert_eq!(documented, implemented);
}

/// The name of a code in the form of gRPC's documentation: `INVALID_ARGUMENT`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
