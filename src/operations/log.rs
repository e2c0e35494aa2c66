//! Sets up the log: where it goes, what passes its filter, and in which format.

use std::{error::Error, io::IsTerminal as _};

use tracing_subscriber::{
    filter::{LevelFilter, ParseError, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{runtime::text::line, settings::LogFormat};

/// Must not be logged: tonic quotes a file of CA certificates that it cannot parse, which may contain a
/// private key.
const LEAKY: &str = "tonic::transport::channel::service::tls";

/// Starts logging to standard error. Does nothing if a log has already been started.
///
/// # Errors
///
/// The filter does not have the form `level` or `target=level,…`.
pub(crate) fn start(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    // Not `EnvFilter`, which can also filter by fields of spans, and compiles regular expressions for it: a
    // thirtieth of the time that a first build takes.
    let filter = line(filter).parse::<Targets>()?.with_target(LEAKY, LevelFilter::OFF);
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(std::io::stderr().is_terminal())
        // Otherwise a closed standard error would make every line of the log panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => log.finish().with(filter).try_init(),
        LogFormat::Json => log.json().flatten_event(true).finish().with(filter).try_init(),
    };
    // Fails only if there is a log already, as in a test with several gateways.
    drop(started);
    Ok(())
}

/// The innermost cause of an error, if it has one. Most of the errors around it only say that
/// something failed.
pub(crate) fn root_cause(error: &dyn Error) -> Option<&(dyn Error + 'static)> {
    let mut cause = error.source()?;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Some(cause)
}
