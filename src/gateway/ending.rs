//! How a call ends is told to the metrics and the log, once, and even when nobody says it.

use std::sync::Arc;

use tonic::Code;

use super::{context::CallContext, log};
use crate::metrics::CallGuard;

/// A call that has not ended. Dropped as that, it was given up by its caller.
pub(super) struct Ending {
    call: Arc<CallContext>,
    counted: Option<CallGuard>,
}

impl Ending {
    /// The end of this call.
    pub(super) fn of(call: Arc<CallContext>, counted: CallGuard) -> Self {
        let counted = Some(counted);
        Self { call, counted }
    }

    /// The call has ended with this code. Whoever failed it has logged why.
    pub(super) fn ended(mut self, code: Code) {
        if code == Code::Ok {
            log::answered(&self.call);
        }
        if let Some(counted) = self.counted.take() {
            counted.ended(code);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.counted.is_some() {
            log::given_up(&self.call);
        }
    }
}
