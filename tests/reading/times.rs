//! Timestamps, in every format that EM or .NET may write.

use crate::document::{pairs, run, unmapped};

fn creation(text: &str) -> String {
    format!("<CreationTimeUTC>{text}</CreationTimeUTC>")
}

fn end(text: &str) -> String {
    format!("<EndTimeUTC>{text}</EndTimeUTC>")
}

#[test]
fn every_time_format_is_read() {
    for (text, utc) in [
        ("2014-10-19T06:46:31Z", "2014-10-19T06:46:31Z"),
        ("2014-10-19T06:46:31.7Z", "2014-10-19T06:46:31.7Z"),
        ("2014-10-19T06:46:31.42Z", "2014-10-19T06:46:31.42Z"),
        ("2014-10-19T06:46:31.477Z", "2014-10-19T06:46:31.477Z"),
        ("2014-10-19T06:46:31.22142Z", "2014-10-19T06:46:31.22142Z"),
        ("2014-10-19T06:46:31.879599Z", "2014-10-19T06:46:31.879599Z"),
        ("2014-10-19T06:46:31.0000001Z", "2014-10-19T06:46:31.0000001Z"),
        ("2014-10-19T06:46:31.123456789Z", "2014-10-19T06:46:31.123456789Z"),
        ("2014-10-19T14:00:00.0000000+01:00", "2014-10-19T13:00:00Z"),
        ("2014-10-19T01:16:31-05:30", "2014-10-19T06:46:31Z"),
        ("2014-10-19T06:46:31", "2014-10-19T06:46:31Z"),
        ("2014-10-19T06:46:31.5", "2014-10-19T06:46:31.5Z"),
        ("\n 2014-10-19T06:46:31Z\u{a0}", "2014-10-19T06:46:31Z"),
        ("1980-01-01T00:00:00Z", "1980-01-01T00:00:00Z"),
        ("9999-12-30T21:59:59Z", "9999-12-30T21:59:59Z"),
        ("9999-12-30T16:59:59-05:00", "9999-12-30T21:59:59Z"),
        ("9999-12-31T02:59:59+05:00", "9999-12-30T21:59:59Z"),
    ] {
        let children = creation(text) + &end(text);
        let utc = Some(utc.parse().unwrap());
        assert_eq!((run(&children).created_at, run(&children).ended_at), (utc, utc));
        assert_eq!(unmapped(&children), []);
    }
}

#[test]
fn an_end_time_before_1980_means_never() {
    for text in [
        "1753-01-01T00:00:00Z",
        "0001-01-01T00:00:00",
        "1900-01-01T00:00:00",
        "1969-12-31T23:59:59.9Z",
        "1970-01-01T00:00:00Z",
        "1979-12-31T23:59:59.999999999Z",
    ] {
        assert_eq!(run(&end(text)).ended_at, None, "{text}");
        assert_eq!(unmapped(&end(text)), [], "{text}");
    }
}

#[test]
fn a_creation_time_before_1970_is_passed_on() {
    for text in ["0001-01-01T00:00:00Z", "1753-01-01T00:00:00Z", "1969-12-31T23:59:59.25Z"] {
        assert_eq!(run(&creation(text)).created_at, Some(text.parse().unwrap()));
    }
}

#[test]
fn an_invalid_time_is_kept_verbatim() {
    for text in [
        "yesterday",
        "2014-13-01T00:00:00Z",
        "2014-10-19T06:46:31.1234567890Z",
        "2014-10-19T24:00:00Z",
        "2014-10-19T06:46:31[Europe/Paris]",
        "2014-10-19T06:46:31+26:00",
        "9999-12-31T23:59:59.9999999Z",
        "9999-12-31T23:59:59-05:00",
        "9999-12-30T20:00:00-05:00",
        "9999-12-31T22:00:00-05:00",
        "9999-12-31T22:00:00+05:00",
        "0001-01-01T00:00:00+01:00",
        "0001-01-01T04:59:59.9+05:00",
        "2014-10-19T06:46:31Z[Europe/Paris]",
        "-000001-01-01T00:00:00Z",
        "/Date(1413701191000)/",
    ] {
        let children = creation(&format!(" {text}\n")) + &end(text);
        assert_eq!((run(&children).created_at, run(&children).ended_at), (None, None));
        let expected = pairs([("CreationTimeUTC", text), ("EndTimeUTC", text)]);
        assert_eq!(unmapped(&children), expected);
    }
}

#[test]
fn an_end_time_before_the_creation_time_is_passed_on() {
    let run = run(&(creation("2014-10-19T06:46:31.5Z") + &end("2014-10-19T06:46:31.4Z")));
    assert!(run.ended_at < run.created_at);
    assert!(run.ended_at.is_some());
}
