//! Enterprise Manager's query service: its filter language, lists, and pages.

pub(crate) mod filter;
pub(crate) mod listing;
pub(crate) mod lists;
