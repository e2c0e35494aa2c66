//! What the body of a failure says: EM's own error, or the reason that .NET's layers give.
//!
//! EM reports a failure in an `Error` document. An exception that EM does not handle is reported by
//! the layer below: WCF sends a `Fault`, ASP.NET Core sends `problem+xml` or `problem+json`. Their
//! reasons are for the log; they say nothing about the session.

use serde_json::{Map, Value};

use super::response::EmResponse;
use crate::enterprise_manager::{
    error::excerpt,
    xml::{ErrorDocument, parse_error_document, parse_fault_reason},
};

/// EM's own error, in XML, or in JSON if something rewrites the `Accept` header.
pub(super) fn em_error(response: &EmResponse) -> Option<ErrorDocument> {
    if let Ok(Some(document)) = parse_error_document(&response.body) {
        return Some(document);
    }
    let json: Map<String, Value> = serde_json::from_slice(&response.body).ok()?;
    // Up to release 12 the keys are in Pascal case, from 13 on in camel case. Other servers have a
    // `message` and a `statusCode` too, but not this key, which EM writes even if it is null.
    let is_em = json.contains_key("StatusCode") || json.contains_key("firstChanceExceptionMessage");
    let get = |pascal: &str, camel: &str| json.get(pascal).or_else(|| json.get(camel));
    let message = get("Message", "message")?.as_str()?.to_owned();
    let status = get("StatusCode", "statusCode")?.as_u64()?;
    is_em.then(|| ErrorDocument { status: u16::try_from(status).ok(), message })
}

/// The reason in a `Fault` or a problem document, fit for one log line.
pub(super) fn reason(response: &EmResponse) -> Option<String> {
    let reason = if let Ok(reason) = parse_fault_reason(&response.body) {
        reason?
    } else {
        let json: Map<String, Value> = serde_json::from_slice(&response.body).ok()?;
        let texts = ["title", "detail"].map(|key| json.get(key).and_then(Value::as_str));
        texts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    };
    Some(excerpt(&reason)).filter(|reason| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    fn of(body: &str) -> EmResponse {
        EmResponse {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn the_reason_of_every_kind_of_fault_of_net_is_found() {
        const FAULT: &str = "http://schemas.microsoft.com/ws/2005/05/envelope/none";
        for (body, expected) in [
            (
                format!(
                    "<Fault xmlns=\"{FAULT}\"><Code><Value>Receiver</Value></Code>\
                     <Reason><Text xml:lang=\"en-US\">out of\nmemory</Text></Reason></Fault>"
                ),
                Some("out of memory"),
            ),
            (
                "<problem xmlns=\"urn:ietf:rfc:7807\"><title>Error</title><status>500</status>\
                 <detail>no disk</detail></problem>"
                    .to_owned(),
                Some("Error: no disk"),
            ),
            (r#"{"type":"about:blank","title":"Error","status":500}"#.to_owned(), Some("Error")),
            ("<Fault/>".to_owned(), None),
            ("<other/>".to_owned(), None),
            ("{}".to_owned(), None),
            ("[1]".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(reason(&of(&body)).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn em_s_error_is_found_in_json_of_both_generations_and_in_no_other_json() {
        let recorded = r#"{"FirstChanceExceptionMessage":null,"Message":"m","StackTrace":null,"Status":null,"StatusCode":400}"#;
        let later = r#"{"firstChanceExceptionMessage":null,"message":"m","stackTrace":null,"status":null,"statusCode":400}"#;
        for json in [recorded, later] {
            let expected = ErrorDocument { status: Some(400), message: "m".to_owned() };
            assert_eq!(em_error(&of(json)), Some(expected), "{json}");
        }
        for json in [
            r#"{"statusCode":404,"message":"Not Found","error":"Not Found"}"#,
            r#"{"StatusCode":"404","Message":"m"}"#,
            r#"{"errorCode":"NotFound","message":"m"}"#,
            "{}",
        ] {
            assert_eq!(em_error(&of(json)), None, "{json}");
        }
    }
}
