//! The version: what the program says of itself, and that everything else names the same one.

use std::{fs, path::Path};

use super::{program, run};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[tokio::test]
async fn the_version_says_what_was_built() {
    let revision = option_env!("SOURCE_REVISION").unwrap_or("unknown");
    let long =
        format!("replica-session-gateway {VERSION}\nrevision: {revision}\nfeatures: simulator\n");
    assert_eq!(run(&mut program(&["--version"])).await, (0, long, String::new()));
    let short = format!("replica-session-gateway {VERSION}\n");
    assert_eq!(run(&mut program(&["-V"])).await, (0, short, String::new()));
}

#[test]
fn everything_names_the_version_of_the_program() {
    for (file, text) in [
        ("docs/README.md", format!("These pages describe version {VERSION}.")),
        ("docs/stability.md", format!("This page is about version {VERSION}")),
        ("CHANGELOG.md", format!("\n## [{VERSION}]")),
        ("dist/pages/Cargo.toml", format!("\nversion = \"{VERSION}\"")),
        ("simulator/Cargo.toml", format!("\nversion = \"{VERSION}\"")),
        ("deploy/helm/Chart.yaml", format!("\nversion: {VERSION}\nappVersion: {VERSION}\n")),
        ("deploy/kubernetes/base/kustomization.yaml", format!("newTag: {VERSION}\n")),
    ] {
        let content = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert!(content.contains(&text), "{file} does not have {text:?}");
    }
}
