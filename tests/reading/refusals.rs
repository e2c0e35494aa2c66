//! Documents that are refused.

use replica_session_gateway::enterprise_manager::{BadResponse, View, parse_replica_session};

use crate::document::{EM, ID, entity, id, kind, read, reference, session};

fn wrong_root(expected: &'static str, found: &str) -> BadResponse {
    BadResponse::WrongRoot { expected, found: found.to_owned() }
}

#[test]
fn the_other_form_of_the_session_is_refused() {
    let expected = wrong_root("ReplicaJobSession", "EntityRef");
    assert_eq!(read(reference("")), Err(expected));

    let read = parse_replica_session(entity("").as_bytes(), id(), View::Reference);
    assert_eq!(read, Err(wrong_root("EntityRef", "ReplicaJobSession")));
}

#[test]
fn another_root_is_refused() {
    let uid = format!("UID='urn:veeam:ReplicaJobSession:{ID}'");
    for (xml, found) in [
        (format!("<Error xmlns='{EM}' {uid}/>"), "Error"),
        (format!("<replicajobsession xmlns='{EM}' {uid}/>"), "replicajobsession"),
        (format!("<ReplicaJobSession {uid}/>"), "ReplicaJobSession"),
        (format!("<ReplicaJobSession xmlns='{EM}/' {uid}/>"), "ReplicaJobSession"),
        (format!("<o:ReplicaJobSession xmlns='{EM}' xmlns:o='urn:o' {uid}/>"), "ReplicaJobSession"),
        (format!("<X xmlns='{EM}'>{}</X>", entity("")), "X"),
        ("<html><body>Veeam</body></html>".to_owned(), "html"),
    ] {
        assert_eq!(read(xml), Err(wrong_root("ReplicaJobSession", found)));
    }
}

#[test]
fn the_document_of_another_session_is_refused() {
    for uid in [
        "urn:veeam:ReplicaJobSession:ffffffff-ffff-ffff-ffff-ffffffffffff",
        &format!("urn:veeam:ReplicaTaskSession:{ID}"),
        &format!("urn:veeam:ReplicaJobSession:{ID}0"),
        &format!("\u{a0}urn:veeam:ReplicaJobSession:{ID}"),
        ID,
        "",
    ] {
        let xml = entity("").replace(&format!("urn:veeam:ReplicaJobSession:{ID}"), uid);
        let found = uid.trim().to_owned();
        assert_eq!(read(xml), Err(BadResponse::WrongSession { found }));
    }
    let without = entity("").replace(" UID=", " Uid=");
    let found = String::new();
    assert_eq!(read(without), Err(BadResponse::WrongSession { found }));
}

#[test]
fn a_uid_in_upper_case_is_accepted() {
    let xml = entity("").replace(ID, &ID.to_uppercase());
    let session = read(xml).unwrap();
    assert_eq!(session.id, id());
    assert_eq!(session.uid, format!("urn:veeam:ReplicaJobSession:{}", ID.to_uppercase()));
}

#[test]
fn a_document_truncated_at_any_byte_is_reported_as_truncated() {
    let children = "<!-- c --><?p i?><New a=\"é\" b='&amp;'>&lt;é&#233;<![CDATA[x]]></New><State/>";
    let xml = format!("\u{feff}<?xml version=\"1.0\"?>\r\n{}", entity(children));
    assert_eq!(kind(&read(&xml)), "read");
    for end in 0..xml.len() {
        assert_eq!(read(&xml.as_bytes()[..end]), Err(BadResponse::Truncated), "{end}");
    }
}

#[test]
fn other_encodings_than_utf_8_are_refused() {
    let xml = entity("<JobName>é</JobName>");
    let utf_16: Vec<u8> = xml.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin_1: Vec<u8> = xml.chars().map(|c| u8::try_from(c).unwrap()).collect();
    let surrogate = [entity("").as_bytes(), b"\xed\xa0\x80"].concat();
    for bytes in [utf_16, latin_1, surrogate, b"\xff\xfe<".to_vec()] {
        assert_eq!(kind(&read(bytes)), "malformed");
    }
    for encoding in ["utf-16", "iso-8859-1", "windows-1252", ""] {
        let declaration = format!("<?xml version='1.0' encoding='{encoding}'?>");
        let expected = BadResponse::Malformed(format!("declared encoding {encoding:?}"));
        assert_eq!(read(declaration + &entity("")), Err(expected));
    }
}

#[test]
fn a_document_type_is_refused() {
    let xml = entity("<JobName>&x;</JobName>");
    let expected = Err(BadResponse::Forbidden("a document type"));
    for document_type in [
        "<!DOCTYPE ReplicaJobSession>",
        "<!DOCTYPE r [<!ENTITY x 'y'>]>",
        "<!DOCTYPE r SYSTEM 'file:///etc/passwd'>",
        "<?xml version='1.0'?>\n<!-- c -->\n<!DOCTYPE r>",
    ] {
        assert_eq!(read(format!("{document_type}{xml}")), expected, "{document_type}");
    }
    assert_eq!(read(entity("<New><!DOCTYPE r></New>")), expected);
}

#[test]
fn a_custom_entity_is_refused_anywhere() {
    for children in [
        "<JobName>&x;</JobName>",
        "<New>&x;</New>",
        "<o:Other>&x;</o:Other>",
        "&nbsp;",
        "<New a='&x;'/>",
        "<Links><Link Href='&x;'/></Links>",
        "<New><Inner o:a='&x;'/></New>",
    ] {
        assert_eq!(kind(&read(entity(children))), "malformed", "{children}");
    }
    let in_root = entity("").replace(" UID=", " New='&x;' UID=");
    assert_eq!(kind(&read(in_root)), "malformed");
}

#[test]
fn nesting_is_limited_in_every_element() {
    // The root and the containing element add two levels.
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    for element in ["New", "JobName", "Links", "o:Other"] {
        let within = entity(&format!("<{element}>{}</{element}>", nested(30)));
        assert_eq!(kind(&read(within)), "read", "{element}");
        let beyond = entity(&format!("<{element}>{}</{element}>", nested(31)));
        let expected = BadResponse::Forbidden("elements nested too deeply");
        assert_eq!(read(beyond), Err(expected), "{element}");
    }
    let side_by_side = nested(1).repeat(100);
    assert_eq!(session(&side_by_side), session(""));
}

#[test]
fn content_after_the_root_is_refused() {
    let xml = entity("");
    for trailing in [
        "x",
        "&#32;",
        "<![CDATA[ ]]>",
        "<a/>",
        "</a>",
        "<!DOCTYPE r>",
        "<?xml version='1.0'?>",
        &xml,
    ] {
        assert_eq!(kind(&read(format!("{xml}{trailing}"))), "malformed", "{trailing}");
    }
    for trailing in ["\r\n", " \u{a0}", "<!-- c -->", "<?target?>"] {
        assert_eq!(kind(&read(format!("{xml}{trailing}"))), "read", "{trailing}");
    }
}

#[test]
fn content_before_the_root_is_refused() {
    for leading in [
        "x",
        "&#32;",
        "<![CDATA[ ]]>",
        "</a>",
        "\u{feff}\u{feff}",
        "\n<?xml version='1.0'?>",
        "<?xml version='1.0'?><?xml version='1.0'?>",
    ] {
        let xml = format!("{leading}{}", entity(""));
        assert_eq!(kind(&read(xml)), "malformed", "{leading:?}");
    }
}

#[test]
fn markup_that_is_not_well_formed_is_refused() {
    for children in [
        "<State>Working</Result>",
        "<State>Working",
        "</State>",
        "<JobName>R&D</JobName>",
        "<JobName>R & D;</JobName>",
        "<JobName>&;</JobName>",
        "<JobName>&#;</JobName>",
        "<JobName>&#x;</JobName>",
        "<JobName>&#xD800;</JobName>",
        "<JobName>&#x110000;</JobName>",
        "<JobName>a\0b</JobName>",
        "<JobName>a\u{1f}b</JobName>",
        "<New a='1' a='2'/>",
        "<New a=1/>",
        "<New a/>",
        "<New a='R&D'/>",
        "<State=\"Working\"/>",
        "<New a='1' /b='2'/>",
        "<>x</>",
        "<1>x</1>",
        "<!State>",
        "<?xml version='1.0'?>",
    ] {
        assert_eq!(kind(&read(entity(children))), "malformed", "{children}");
    }
    let twice = entity("").replace(" UID=", " UID='x' UID=");
    assert_eq!(kind(&read(twice)), "malformed");
}
