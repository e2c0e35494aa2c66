//! What .NET's own writers make of a session: orders of attributes and namespaces, nil, digits.

use super::document::{EM, ID, Outcome, kind, read, run, session};

/// The attributes of a session as every writer has them.
fn identity() -> String {
    format!("Type=\"ReplicaJobSession\" Name=\"A@2025\" UID=\"urn:veeam:ReplicaJobSession:{ID}\"")
}

const XSD: &str = "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"";
const XSI: &str = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

fn document(declaration: &str, attributes: &str) -> Outcome {
    read(format!(
        "{declaration}<ReplicaJobSession {attributes}><Links /><JobName>A</JobName>\
         <EndTimeUTC xsi:nil=\"true\" /></ReplicaJobSession>"
    ))
}

#[test]
fn every_order_of_attributes_and_namespaces_says_the_same() {
    let (identity, em) = (identity(), format!("xmlns=\"{EM}\""));
    let declaration = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n";
    let expected = document(declaration, &format!("{XSD} {XSI} {identity} {em}"));
    assert_eq!(kind(&expected), "read");
    for attributes in [
        format!("{XSI} {XSD} {identity} {em}"),
        format!("{XSD} {XSI} {em} {identity}"),
        format!("{identity} {em} {XSD} {XSI}"),
        format!("{identity} {em} {XSI} {XSD}"),
        format!("{em} {identity} {XSI}"),
    ] {
        assert_eq!(document(declaration, &attributes), expected, "{attributes}");
        assert_eq!(document("", &attributes), expected, "without a declaration");
        assert_eq!(document("\u{feff}", &attributes), expected, "with a byte order mark");
    }
}

#[test]
fn null_is_nil_for_every_nullable_and_absent_for_a_text() {
    let elements = ["EndTimeUTC", "CreationTimeUTC", "Progress", "IsRetry", "State", "Result"];
    let nil = elements.map(|element| format!("<{element} xsi:nil=\"true\" />")).concat();
    let run = run(&format!("<JobName>A</JobName>{nil}"));
    assert_eq!((run.created_at, run.ended_at), (None, None));
    assert_eq!((run.progress_percent, run.is_retry), (None, None));
    assert_eq!((run.state, run.result), (None, None));
    assert_eq!(run.failure_message, None);
}

#[test]
fn a_session_whose_fields_are_all_nil_or_in_another_namespace_is_refused() {
    for children in [
        "<JobName xsi:nil=\"true\"/><State xsi:nil=\"1\"/>",
        "<JobName xmlns=\"\">A</JobName><State xmlns=\"\">Stopped</State>",
        "<o:JobName>A</o:JobName>",
        "<Links><Link Rel=\"Up\"/></Links>",
        "",
    ] {
        let attributes = format!("xmlns=\"{EM}\" {XSI} xmlns:o=\"urn:other\" {}", identity());
        let xml = format!("<ReplicaJobSession {attributes}>{children}</ReplicaJobSession>");
        assert_eq!(kind(&read(xml)), "no fields", "{children}");
    }
}

#[test]
fn times_have_up_to_seven_digits_and_any_zone() {
    for (written, meant) in [
        ("2025-10-07T20:00:02Z", "2025-10-07T20:00:02Z"),
        ("2025-10-07T20:00:02.1", "2025-10-07T20:00:02.1Z"),
        ("2025-10-07T20:00:02.1234567Z", "2025-10-07T20:00:02.1234567Z"),
        ("2025-10-07T22:00:02.12+02:00", "2025-10-07T20:00:02.12Z"),
    ] {
        let created = run(&format!("<CreationTimeUTC>{written}</CreationTimeUTC>")).created_at;
        assert_eq!(created, Some(meant.parse().unwrap()), "{written}");
    }
}

#[test]
fn a_local_minimum_before_year_one_is_no_end_and_is_not_lost() {
    let text = "0001-01-01T00:00:00+00:54";
    let session = session(&format!("<State>Working</State><EndTimeUTC>{text}</EndTimeUTC>"));
    assert_eq!(session.entity.unwrap().ended_at, None);
    assert_eq!(session.unmapped["EndTimeUTC"], text);
}

#[test]
fn an_identifier_has_no_white_space_at_its_ends() {
    let xml = format!(
        "<ReplicaJobSession xmlns=\"{EM}\" UID=\" urn:veeam:ReplicaJobSession:{ID}\t\">\
         <JobUid>\r\n  urn:veeam:Job:1\r\n</JobUid></ReplicaJobSession>"
    );
    let session = read(xml).unwrap();
    assert_eq!(session.uid, format!("urn:veeam:ReplicaJobSession:{ID}"));
    assert_eq!(session.entity.unwrap().job_uid, "urn:veeam:Job:1");
}
