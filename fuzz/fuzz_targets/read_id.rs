//! Any text as the id in a caller's request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use replica_session_gateway::enterprise_manager::SessionId;

fuzz_target!(|text: &str| {
    let Ok(id) = text.parse::<SessionId>() else {
        return;
    };
    // Only a UUID can become part of an address.
    let written = id.to_string();
    let is_plain =
        |byte: u8| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    assert!(written.len() == 36 && written.bytes().all(is_plain), "{written}");
    assert_eq!(written.parse(), Ok(id));
    assert!(text.to_lowercase().ends_with(&written), "{text}");
});
