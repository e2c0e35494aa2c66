//! Elements without a field are kept.

use replica_session_gateway::enterprise_manager::{View, parse_replica_session};

use crate::document::{id, pairs, reference, session, unmapped};

#[test]
fn unknown_elements_with_text_are_kept_verbatim() {
    let children = "<New> a &lt; <![CDATA[b]]>\n</New><State>Working</State><Z-2.é>z</Z-2.é>";
    assert_eq!(unmapped(children), pairs([("New", " a < b\n"), ("Z-2.é", "z")]));
}

#[test]
fn unknown_elements_do_not_change_the_fields() {
    assert_eq!(
        session("<New>a</New><State>Idle</State>").entity,
        session("<State>Idle</State>").entity
    );
}

#[test]
fn element_names_are_case_sensitive() {
    let children = "<state>Stopped</state><EndTime>2014-10-19T06:46:31Z</EndTime>";
    let expected = pairs([("EndTime", "2014-10-19T06:46:31Z"), ("state", "Stopped")]);
    assert_eq!(unmapped(children), expected);
    assert_eq!(session(children).entity, session("").entity);
}

#[test]
fn repeated_unknown_elements_are_joined_with_line_feeds() {
    let children = "<New>a</New><Other>x</Other><New>b</New><New/><New>a</New>";
    assert_eq!(unmapped(children), pairs([("New", "a\nb\na"), ("Other", "x")]));
}

#[test]
fn unknown_elements_without_text_of_their_own_are_not_kept() {
    for children in
        ["<New/>", "<New a='b'/>", "<New> \n\u{a0}</New>", "<New><Inner>x</Inner></New>"]
    {
        assert_eq!(session(children), session(""), "{children}");
    }
}

#[test]
fn a_reference_keeps_the_entitys_elements_as_unmapped() {
    let xml = reference("<State>Working</State><Progress>half</Progress><New>text</New>");
    let session = parse_replica_session(xml.as_bytes(), id(), View::Reference).unwrap();
    assert_eq!(session.entity, None);
    let expected = pairs([("New", "text"), ("Progress", "half"), ("State", "Working")]);
    assert_eq!(session.unmapped.into_iter().collect::<Vec<_>>(), expected);
}
