//! How a call ends is told to the metrics, the log and its span, once, and even when nobody says it.

use std::sync::Arc;

use tonic::Code;

use super::{context::CallContext, log, span};

/// A call that has not ended. Dropped as that, it was given up by its caller.
pub(super) struct Ending {
    call: Arc<CallContext>,
    code: Option<Code>,
}

impl Ending {
    /// The end of this call, which begins now.
    pub(super) fn of(call: Arc<CallContext>) -> Self {
        call.method.started();
        Self { call, code: None }
    }

    /// The call has ended with this code. Whoever failed it has logged why.
    pub(super) fn ended(mut self, code: Code) {
        self.code = Some(code);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        match self.code {
            None => log::given_up(&self.call),
            Some(Code::Ok) => log::answered(&self.call),
            Some(_) => {}
        }
        span::ended(&self.call.origin, self.code);
        let code = self.code.map(i32::from);
        self.call.method.ended(code, self.call.elapsed());
    }
}
