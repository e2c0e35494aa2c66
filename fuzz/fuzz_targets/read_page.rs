//! Any bytes as a page of sessions, in both views and in any pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use replica_session_gateway::enterprise_manager::{View, session_page_reader};

mod streamed;

fuzz_target!(|document: &[u8]| {
    for view in [View::Entity, View::Reference] {
        let page = streamed::read(|| session_page_reader(view, 3), document);
        let Ok(page) = page else { continue };
        assert!(page.items.len() <= 3);
        for session in page.items {
            let uid = session.uid.to_lowercase();
            assert!(uid.ends_with(&session.id.to_string()), "{uid}");
            assert_eq!(session.run.is_some(), view == View::Entity);
        }
    }
});
