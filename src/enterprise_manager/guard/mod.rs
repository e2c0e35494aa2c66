//! What spares Enterprise Manager: how many requests it may have, when they are sent again, and when
//! they are not sent at all.

pub(crate) mod circuit;
pub(crate) mod overtaken;
pub(crate) mod places;
pub(crate) mod purpose;
pub(crate) mod retry;
pub(crate) mod standing;
