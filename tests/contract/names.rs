//! Names that callers and operators have built on since the last release: none goes away.
//!
//! They come from tables in `docs/`, which other tests hold equal to the program.

use std::{collections::BTreeSet, env, fs, path::Path};

const LAST_RELEASE: &str = "tests/contract/names.txt";
const ERRORS: &str = include_str!("../../docs/errors.md");

#[test]
fn no_name_of_the_last_release_is_missing() {
    let names = names();
    for kind in ["setting", "reason", "metric", "status"] {
        let count = names.iter().filter(|name| name.starts_with(kind)).count();
        assert!(count >= 15, "{count} of {kind}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if env::var_os("RELEASE").is_some() {
        let lines: Vec<_> = names.iter().map(String::as_str).collect();
        fs::write(root.join(LAST_RELEASE), lines.join("\n") + "\n").unwrap();
    }
    let released = fs::read_to_string(root.join(LAST_RELEASE)).unwrap();
    let missing: Vec<_> = released.lines().filter(|line| !names.contains(*line)).collect();
    assert!(missing.is_empty(), "docs/stability.md promises them: {missing:#?}");
}

/// Settings, reasons with their code, limits that refuse calls, metrics and fields of `/status`.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (kind, page) in [
        ("setting", include_str!("../../docs/configuration.md")),
        ("metric", include_str!("../../docs/metrics.md")),
        ("status", include_str!("../../docs/status.md")),
    ] {
        for row in page.lines().filter(|line| line.starts_with("| `")) {
            let first = row.split('|').nth(1).unwrap();
            names.extend(quoted(first).map(|name| format!("{kind} {name}")));
            let labels = row.split('|').nth(2).unwrap();
            if kind == "metric" {
                let metric = quoted(first).next().unwrap();
                names.extend(quoted(labels).map(|label| format!("metric {metric} {label}")));
            }
        }
    }
    let (reasons, limits) = ERRORS.split_once("\n## Which limit refused a call\n").unwrap();
    for row in limits.lines().filter(|line| line.starts_with("| `") && !line.contains("set by")) {
        names.insert(format!("limit {}", quoted(row).next().unwrap()));
    }
    for row in reasons.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.split('|').skip(1).map(str::trim);
        let reason = cells.next().unwrap().trim_matches('`');
        names.insert(format!("reason {reason} {}", cells.next().unwrap()));
    }
    names
}

/// The words between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
