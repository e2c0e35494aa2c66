//! One HTTP exchange with Enterprise Manager: request, bounded answer, TLS, connection errors.

pub(crate) mod answer;
pub(crate) mod echo;
pub(crate) mod exchange;
pub(crate) mod look;
pub(crate) mod lost;
pub(crate) mod presented;
pub(crate) mod reach;
pub(crate) mod reply;
pub(crate) mod tls;
