//! Only elements in Enterprise Manager's namespace set fields.

use replica_session_gateway::enterprise_manager::SessionState;

use crate::document::{EM, ID, entity, kind, read, run, session};

#[test]
fn the_namespace_may_have_a_prefix() {
    let plain = "<Links><Link Rel='Up'/></Links><State>Working</State><New>text</New>";
    let prefixed = format!(
        "<v:ReplicaJobSession xmlns:v='{EM}' UID='urn:veeam:ReplicaJobSession:{ID}'>\
         <v:Links><v:Link Rel='Up'/></v:Links><v:State>Working</v:State><v:New>text</v:New>\
         </v:ReplicaJobSession>"
    );
    assert_eq!(read(prefixed), Ok(session(plain)));
}

#[test]
fn an_element_in_another_namespace_does_not_set_a_field() {
    for twin in [
        "<o:State>Stopped</o:State>",
        "<State xmlns='urn:other'>Stopped</State>",
        "<State xmlns=''>Stopped</State>",
    ] {
        assert_eq!(session(twin), session(""), "{twin}");
        for children in
            [format!("{twin}<State>Working</State>"), format!("<State>Working</State>{twin}")]
        {
            assert_eq!(session(&children), session("<State>Working</State>"), "{children}");
        }
    }
}

#[test]
fn an_element_in_another_namespace_is_not_kept_as_unmapped() {
    assert_eq!(session("<o:New>text</o:New>"), session(""));
}

#[test]
fn links_in_another_namespace_are_ignored() {
    for links in [
        "<o:Links><Link Rel='Up'/></o:Links>",
        "<Links><o:Link Rel='Up'/></Links>",
        "<Links><New><Link Rel='Up'/></New></Links>",
    ] {
        assert_eq!(session(links).links, [], "{links}");
    }
}

#[test]
fn the_innermost_declaration_applies() {
    let children = format!("<o:State xmlns:o='{EM}'>Idle</o:State><o:Result>Failed</o:Result>");
    let run = run(&children);
    assert_eq!((run.state, run.result), (Some(SessionState::Idle), None));
}

#[test]
fn a_prefixed_attribute_is_ignored() {
    let xml = entity("<Links><Link o:Rel='Down' Rel='Up'/></Links>").replace(
        " UID=",
        " o:Name='foreign' o:UID='urn:veeam:ReplicaJobSession:ffffffff-ffff-ffff-ffff-ffffffffffff' UID=",
    );
    let session = read(xml).unwrap();
    assert_eq!((session.name.as_str(), session.links[0].rel.as_str()), ("", "Up"));

    let only_foreign = entity("").replace(" UID=", " o:UID=");
    assert_eq!(kind(&read(only_foreign)), "wrong session");
}

#[test]
fn an_undeclared_prefix_is_refused() {
    for children in [
        "<z:State>Working</z:State>",
        "<State z:unit='x'>Working</State>",
        "<o:Other><z:Inner/></o:Other>",
    ] {
        assert_eq!(kind(&read(entity(children))), "malformed", "{children}");
    }
    assert_eq!(session("<JobName xml:lang='fr'/>"), session("<JobName/>"));
}

#[test]
fn nested_elements_do_not_set_the_session_s_fields() {
    let nested = "<New><State>Stopped</State><UID>x</UID><Links><Link/></Links></New>";
    assert_eq!(session(nested), session(""));
    let children = format!("{nested}<State>Working</State>{nested}");
    assert_eq!(session(&children), session("<State>Working</State>"));
}
