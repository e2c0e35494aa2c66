//! The ways in which text and attributes can be encoded.

use crate::document::{EM, ID, entity, kind, read, run, session};

fn job_name(text: &str) -> String {
    run(&format!("<JobName>{text}</JobName>")).job_name
}

/// The session's name, read from a root with this attribute.
fn name(attribute: &str) -> String {
    let root = format!("<ReplicaJobSession {attribute}");
    read(entity("").replace("<ReplicaJobSession", &root))
        .unwrap_or_else(|error| panic!("{error}: {attribute}"))
        .name
}

#[test]
fn a_byte_order_mark_and_an_xml_declaration_are_accepted() {
    let xml = entity("<State>Working</State>");
    let expected = read(&xml);
    assert_eq!(kind(&expected), "read");
    for prolog in [
        "\u{feff}",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>",
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n",
        "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>",
        "<?xml version=\"1.0\" encoding=\"utf8\"?>",
        "<?xml version=\"1.0\" encoding=\"us-ascii\"?>",
        "<?xml version=\"1.0\"?>",
        "<?xml version=\"1.0\"?><!-- EM --><?target?>\n",
        "\n\u{a0}",
    ] {
        assert_eq!(read(format!("{prolog}{xml}")), expected, "{prolog:?}");
    }
}

#[test]
fn attributes_may_come_in_any_order() {
    let mut attributes = [
        format!("xmlns='{EM}'"),
        format!("UID = \"urn:veeam:ReplicaJobSession:{ID}\""),
        "Name='Job 1@2025'\n".to_owned(),
        "Type=\"ReplicaJobSession\"".to_owned(),
        "Href='https://em/'".to_owned(),
        "NewAttribute='new'".to_owned(),
    ];
    for _ in 0..attributes.len() {
        attributes.rotate_left(1);
        let root = attributes.join(" ");
        let xml = format!("<ReplicaJobSession {root}><State>Idle</State></ReplicaJobSession>");
        let session = read(&xml).unwrap();
        assert_eq!(session.uid, format!("urn:veeam:ReplicaJobSession:{ID}"));
        assert_eq!(session.name, "Job 1@2025");
        assert_eq!(session.r#type, "ReplicaJobSession");
        assert_eq!(session.href, "https://em/");
        assert!(session.entity.unwrap().state.is_some());
    }
}

#[test]
fn references_are_resolved() {
    for (written, meant) in [
        ("R&amp;D &lt;a&gt; &quot;b&quot; &apos;c&apos;", "R&D <a> \"b\" 'c'"),
        ("&#82;&#x26;&#x44;", "R&D"),
        ("&amp;amp;", "&amp;"),
        ("R&#233;plique &#x1F600;", "Réplique \u{1f600}"),
        ("a&#9;b&#10;c&#13;d", "a\tb\nc\rd"),
        ("a&#x1F;b&#xFFFE;c", "a\u{1f}b\u{fffe}c"),
        ("&#0;a&#x0;b&amp;&#00;&#x000;c&#x26;", "\0a\0b&\0\0c&"),
    ] {
        assert_eq!(job_name(written), meant);
        assert_eq!(name(&format!("Name=\"{written}\"")), meant);
    }
}

#[test]
fn cdata_is_read_verbatim() {
    assert_eq!(job_name("<![CDATA[R&D <a> &amp; ]]>"), "R&D <a> &amp; ");
    assert_eq!(job_name("a<![CDATA[<b>]]>&amp;<![CDATA[]]]]><![CDATA[>]]>c"), "a<b>&]]>c");
    assert_eq!(run("<State><![CDATA[Working]]></State>"), run("<State>Working</State>"));
}

#[test]
fn comments_and_processing_instructions_do_not_split_text() {
    assert_eq!(job_name("Repli<!-- <b> & -->cation<?target data?> 1"), "Replication 1");
}

#[test]
fn an_element_within_text_is_skipped_with_its_content() {
    assert_eq!(job_name("Repli<b>x<c>y</c>z</b>cation"), "Replication");
}

#[test]
fn free_text_is_read_verbatim_and_identifiers_are_trimmed() {
    let padded = " \n Replication  Job\u{a0}";
    let run = run(&format!(
        "<JobUid>\t urn:veeam:Job:1\r\n</JobUid><JobName>{padded}</JobName><JobType>{padded}</JobType>\
         <FailureMessage>{padded}</FailureMessage>"
    ));
    assert_eq!(run.job_uid, "urn:veeam:Job:1", "an identifier has no white space at its ends");
    assert_eq!(run.job_name, padded);
    assert_eq!(run.job_type, padded);
    assert_eq!(run.failure_message.as_deref(), Some(padded));
    assert_eq!(name(&format!("Name='{}'", " a  b\u{a0}")), " a  b\u{a0}");
}

#[test]
fn line_ends_become_line_feeds_in_text_and_spaces_in_attributes() {
    assert_eq!(job_name("a\r\nb\rc\nd"), "a\nb\nc\nd");
    assert_eq!(job_name("<![CDATA[a\r\nb\rc]]>"), "a\nb\nc");
    assert_eq!(name("Name='a\r\nb\tc\nd'"), "a b c d");
}

#[test]
fn text_between_elements_is_skipped() {
    let expected = session("<Links><Link Rel='Up'/></Links><State>Working</State>");
    for stray in ["\n\t", "\u{a0}", "stray", "&#160;&amp;", "<![CDATA[stray]]>", "<!--c-->"] {
        let children = format!(
            "{stray}<Links>{stray}<Link Rel='Up'>{stray}</Link>{stray}</Links>{stray}\
             <State>Working</State>{stray}"
        );
        assert_eq!(session(&children), expected, "{stray:?}");
    }
}
