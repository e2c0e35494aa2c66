//! What this program is: version, git revision and cargo features of its build.

use std::sync::LazyLock;

/// What `--version` prints after the program's name.
pub(crate) static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    let [version, revision, features] = LABELS.map(|(_, value)| value);
    format!("{version}\nrevision: {revision}\nfeatures: {features}")
});

/// The labels of the metric `gateway_build_info`.
pub(crate) const LABELS: [(&str, &str); 3] = [
    ("version", VERSION),
    (
        "revision",
        match REVISION {
            Some(revision) => revision,
            None => "unknown",
        },
    ),
    (
        "features",
        match FEATURES {
            [feature] => feature,
            _ => "none",
        },
    ),
];

/// The version, from `Cargo.toml`.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git revision that it was built from. `None` if the build did not know it: in debug builds, and
/// outside a checkout, unless `SOURCE_REVISION` was set.
pub(crate) const REVISION: Option<&str> = match option_env!("SOURCE_REVISION") {
    Some(revision) if !revision.is_empty() => Some(revision),
    // Empty, as from an image's build argument that is not given.
    _ => None,
};

/// The cargo features that it was built with, of those that change what the program can do.
pub(crate) const FEATURES: &[&str] = if cfg!(feature = "simulator") { &["simulator"] } else { &[] };
