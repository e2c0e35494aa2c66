//! The logon session that every request to Enterprise Manager shares.
//!
//! EM gives a token for user name and password, and forgets it after 15 idle minutes or when its
//! service restarts. The first read logs on; a read that meets 401 asks for a newer session. There is
//! no keep-alive: a gateway that nobody calls sends nothing to EM.
//!
//! The password is that of a directory account, which a directory locks after a few wrong ones. So
//! what matters most is how often it is *sent*. One state machine (`machine.rs`) decides that, for
//! all callers and workers:
//!
//! | state | a caller needs a session | a token comes | the logon fails |
//! | --- | --- | --- | --- |
//! | logged off | sends the password: logging on | – | – |
//! | logging on | waits; after 30 s without an answer sends it once more | logged on | paused, or logged off if the password was not sent |
//! | logged on | gets the session; after a 401 to it: logged off | that second session is ended | no effect |
//! | paused | fails at once; after the pause: logged off | logged on | a longer pause |
//!
//! An answer counts whenever it comes. EM may take its time: a send ends after [`LONGEST_LOGON`],
//! whether or not callers still wait for it. A password is never sent while a sending of the same one
//! is unanswered, except once after 30 s; a changed one does not wait for the answer to the old. A
//! token is used the moment it comes, and a rejection begins the same pause as one in time.
//!
//! | the logon failed with | pause |
//! | --- | --- |
//! | 401 or 403 from anybody; any other 4xx or 500, unless a proxy or web server answers in EM's place, or the rate is limited (408, 429): EM has, or may have, rejected the password | 30 s, doubling to 15 min; a changed password ends it |
//! | other 5xx, the exceptions above, 2xx without a token, a lost connection, TLS that fails, no answer, a new token that EM refuses | 1 s, doubling to 30 s; at least what `Retry-After` says |
//! | no connection or no trust: the password was not sent | none: the circuit breaker spaces failed connections |
//!
//! A 401 to a session that has served other requests is about that one request: the session stays in
//! use, and is not renewed again for 1 s, doubling to 30 s.
//!
//! A shorter time limit for logons, with another sending after it, was tried and dropped: it sent a
//! wrong password again and again when the directory was slow, and a right one never succeeded.
//!
//! * `manager.rs`: the [`LogonManager`], which drives the machine: tasks, waiting, logoff.
//! * `machine.rs`: states, transitions and pauses; knows no clock, no task and no HTTP.
//! * `password.rs`: the current password.
//! * `request.rs`: the requests of a logon and a logoff.
//! * `response.rs`: what the response to a logon means.
//! * `session.rs`: the [`LogonSession`].
//! * `shown.rs`: what operators see of it.

mod machine;
#[cfg(test)]
mod machine_tests;
mod manager;
mod password;
mod request;
mod response;
mod session;
mod shown;
#[cfg(test)]
mod tests;

pub(crate) use manager::LogonManager;
pub(crate) use session::LogonSession;
pub use shown::LogonState;

#[cfg(doc)]
use crate::enterprise_manager::guard::LONGEST_LOGON;
