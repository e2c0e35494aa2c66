//! Any text as a point in time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use replica_session_gateway::enterprise_manager::parse_time;

fuzz_target!(|text: &str| {
    let Some(time) = parse_time(text) else {
        return;
    };
    // The years that protobuf's Timestamp can represent.
    assert!((-62_135_596_800..253_402_300_800).contains(&time.as_second()), "{time}");
    assert_eq!(parse_time(&time.to_string()), Some(time));
});
