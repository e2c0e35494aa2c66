//! The links of a session.

use replica_session_gateway::enterprise_manager::Link;

use crate::document::session;

fn link(rel: &str, r#type: &str, href: &str, name: &str) -> Link {
    Link {
        rel: rel.to_owned(),
        r#type: r#type.to_owned(),
        href: href.to_owned(),
        name: name.to_owned(),
    }
}

#[test]
fn every_link_is_kept_in_order_and_absent_attributes_are_empty() {
    let session = session(
        "<Links>\
         <Link Rel='Stop' Href='https://em/api/x?a=1&amp;b=2'/>\
         <Link Name='N' Href='H' Type='T' Rel='Up' New='new'/>\
         <Link/>\
         <Link Rel='Up' Type='T' Href='H' Name='N'></Link>\
         <New Rel='Up'/>\
         </Links>",
    );
    let expected = [
        link("Stop", "", "https://em/api/x?a=1&b=2", ""),
        link("Up", "T", "H", "N"),
        link("", "", "", ""),
        link("Up", "T", "H", "N"),
    ];
    assert_eq!(session.links, expected);
}

#[test]
fn a_session_without_links_has_none() {
    assert_eq!(session("").links, []);
    assert_eq!(session("<Links/>").links, []);
}

#[test]
fn links_in_a_second_links_element_are_kept() {
    let split = "<Links><Link Rel='Up'/></Links><Links><Link Rel='Down'/></Links>";
    let whole = "<Links><Link Rel='Up'/><Link Rel='Down'/></Links>";
    assert_eq!(session(split), session(whole));
}
