//! The entity's fields and their values, except times, which are in `times`.

use replica_session_gateway::enterprise_manager::{BadResponse, RunResult, SessionState};

use crate::document::{entity, pairs, read, run, session, unmapped};

fn refusal(element: &str, text: &str, why: &str) -> BadResponse {
    BadResponse::InvalidField { element: element.to_owned(), why: format!("is {text:?}, {why}") }
}

#[test]
fn every_known_state_is_read() {
    for (text, state) in [
        ("Starting", SessionState::Starting),
        ("Working", SessionState::Working),
        ("Pausing", SessionState::Pausing),
        ("Resuming", SessionState::Resuming),
        ("Stopping", SessionState::Stopping),
        ("Stopped", SessionState::Stopped),
        ("Idle", SessionState::Idle),
        ("Postprocessing", SessionState::Postprocessing),
        ("Pending", SessionState::Pending),
        ("WaitingRepository", SessionState::WaitingRepository),
        ("WaitingSlot", SessionState::WaitingSlot),
        ("WaitingTape", SessionState::WaitingTape),
        ("ActionRequired", SessionState::ActionRequired),
        ("\n Working\u{a0}", SessionState::Working),
    ] {
        let children = format!("<State>{text}</State>");
        assert_eq!(run(&children).state, Some(state));
        assert_eq!(unmapped(&children), []);
    }
}

#[test]
fn every_known_result_is_read() {
    for (text, result) in [
        ("None", RunResult::None),
        ("Success", RunResult::Success),
        ("Warning", RunResult::Warning),
        ("Failed", RunResult::Failed),
        (" Failed ", RunResult::Failed),
    ] {
        let children = format!("<Result>{text}</Result>");
        assert_eq!(run(&children).result, Some(result));
        assert_eq!(unmapped(&children), []);
    }
}

#[test]
fn an_unknown_state_or_result_is_kept_as_unmapped() {
    for text in ["Hibernating", "stopped", "FAILED", "InProgress", "Stopped Failed"] {
        for element in ["State", "Result"] {
            let children = format!("<{element}> {text}\n</{element}>");
            let run = run(&children);
            assert_eq!((run.state, run.result), (None, None), "{children}");
            assert_eq!(unmapped(&children), pairs([(element, text)]));
        }
    }
}

#[test]
fn progress_is_read_unchanged() {
    for (text, progress) in [
        ("0", 0),
        ("100", 100),
        (" 42\n", 42),
        ("+7", 7),
        ("007", 7),
        ("101", 101),
        ("-1", -1),
        ("2147483647", i32::MAX),
        ("-2147483648", i32::MIN),
    ] {
        let children = format!("<Progress>{text}</Progress>");
        assert_eq!(run(&children).progress_percent, Some(progress));
    }
}

#[test]
fn a_progress_that_is_not_a_32_bit_integer_is_refused() {
    for text in [
        "2147483648",
        "-2147483649",
        "4294967338",
        "99999999999999999999",
        "42.0",
        "4e1",
        "42%",
        "4 2",
        "0x2a",
        "half",
    ] {
        let xml = entity(&format!("<Progress> {text} </Progress>"));
        let expected = refusal("Progress", text, "not a 32-bit integer");
        assert_eq!(read(xml), Err(expected));
    }
}

#[test]
fn is_retry_is_read_in_the_spellings_of_xml_schema_and_dot_net() {
    for (text, is_retry) in [
        ("true", true),
        ("false", false),
        ("1", true),
        ("0", false),
        ("True", true),
        ("False", false),
        ("\ttrue\n", true),
    ] {
        let children = format!("<IsRetry>{text}</IsRetry>");
        assert_eq!(run(&children).is_retry, Some(is_retry));
    }
}

#[test]
fn an_is_retry_that_is_not_a_boolean_is_refused() {
    for text in ["yes", "2", "-1", "truefalse"] {
        let xml = entity(&format!("<IsRetry>{text}</IsRetry>"));
        let expected = refusal("IsRetry", text, "neither true nor false");
        assert_eq!(read(xml), Err(expected));
    }
}

#[test]
fn absent_elements_leave_fields_unset() {
    let run = run("");
    assert_eq!((run.created_at, run.ended_at), (None, None));
    assert_eq!((run.state, run.result), (None, None));
    assert_eq!((run.progress_percent, run.is_retry), (None, None));
    assert_eq!(run.failure_message, None);
    assert_eq!([run.job_uid, run.job_name, run.job_type], [""; 3]);
}

#[test]
fn only_the_failure_message_distinguishes_empty_from_absent() {
    for blank in ["", " \n"] {
        let children = [
            "JobUid",
            "JobName",
            "JobType",
            "CreationTimeUTC",
            "EndTimeUTC",
            "State",
            "Result",
            "Progress",
            "IsRetry",
        ]
        .map(|element| format!("<{element}>{blank}</{element}>"))
        .concat();
        let mut read = session(&children);
        let run = read.entity.as_mut().unwrap();
        for text in [&mut run.job_name, &mut run.job_type] {
            assert_eq!(std::mem::take(text), blank);
        }
        assert_eq!(read, session(""));
    }
    for empty in ["<FailureMessage/>", "<FailureMessage />", "<FailureMessage></FailureMessage>"] {
        assert_eq!(run(empty).failure_message.as_deref(), Some(""), "{empty}");
    }
}

#[test]
fn zero_is_distinct_from_absent() {
    assert_eq!(run("<Progress>0</Progress>").progress_percent, Some(0));
}

#[test]
fn a_nil_element_is_treated_as_absent() {
    for nil in ["true", "1", " true\n"] {
        for children in [
            format!("<FailureMessage xsi:nil='{nil}'/>"),
            format!("<Progress xsi:nil='{nil}'>42</Progress>"),
            format!("<New xsi:nil='{nil}'>text</New>"),
            format!("<Links xsi:nil='{nil}'><Link/></Links>"),
        ] {
            assert_eq!(session(&children), session(""), "{children}");
        }
    }
    for not_nil in
        ["xsi:nil='false'", "xsi:nil='0'", "nil='true'", "xsi:type='true'", "o:nil='true'"]
    {
        let children = format!("<FailureMessage {not_nil}/>");
        assert_eq!(run(&children).failure_message.as_deref(), Some(""), "{children}");
    }
}

#[test]
fn a_known_element_that_occurs_twice_is_refused() {
    for element in [
        "JobUid",
        "JobName",
        "JobType",
        "CreationTimeUTC",
        "EndTimeUTC",
        "State",
        "Result",
        "Progress",
        "IsRetry",
        "FailureMessage",
    ] {
        let expected = BadResponse::InvalidField {
            element: element.to_owned(),
            why: "occurs twice".to_owned(),
        };
        let xml = entity(&format!("<{element}/><New/><{element}/>"));
        assert_eq!(read(xml), Err(expected));
    }
    let nil_first = "<State xsi:nil='true'/><State>Working</State>";
    assert_eq!(run(nil_first).state, Some(SessionState::Working));
}
