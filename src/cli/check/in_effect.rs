//! The step `settings`: which settings are in effect, and what is doubtful about them.

use super::output::Success;
use crate::{
    cli::variables,
    settings::{Settings, Trust},
};

/// The settings in one line.
pub(super) fn describe(settings: &Settings) -> Success<()> {
    let em = &settings.enterprise_manager;
    let trust = match &em.trust {
        Trust::Platform => "the platform's certificate authorities".to_owned(),
        Trust::Authorities(path) => format!("the authorities in {}", path.display()),
        Trust::Pins { given, file } => match file {
            Some(path) if given.is_empty() => format!("the pins in {}", path.display()),
            Some(path) => format!("the pins in {} and {} more", path.display(), given.len()),
            None if given.len() == 1 => "only the certificate with the given pin".to_owned(),
            None => format!("only certificates with one of the {} given pins", given.len()),
        },
    };
    let trust = match em.url.scheme() {
        "https" => format!("trusting {trust}"),
        _ => "without TLS".to_owned(),
    };
    let text = format!("{} as {}, password from {}, {trust}", em.url, em.username, em.password);
    let success = Success::new((), text);
    let mut doubts = em.doubts.clone();
    doubts.extend(variables::unknown(&settings.in_effect));
    if let Err(why) = &settings.traces {
        doubts.push(format!("no traces will be sent: {why}"));
    }
    if doubts.is_empty() { success } else { success.but(doubts.join("; ")) }
}
