//! Any bytes as a page of sessions, in both views.

#![no_main]

use futures_executor::block_on;
use libfuzzer_sys::fuzz_target;
use replica_session_gateway::enterprise_manager::{View, parse_session_page};

fuzz_target!(|document: &[u8]| {
    for view in [View::Entity, View::Reference] {
        let page = block_on(parse_session_page(document, view, 3));
        let Ok(page) = page else { continue };
        assert!(page.items.len() <= 3);
        for session in page.items {
            let uid = session.uid.to_lowercase();
            assert!(uid.ends_with(&session.id.to_string()), "{uid}");
            assert_eq!(session.entity.is_some(), view == View::Entity);
        }
    }
});
