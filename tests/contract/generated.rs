//! Files of the repository that are generated, and held equal to their sources by a test.

use std::{env, fs, path::Path};

/// Asserts that the file is up to date, or with `UPDATE_DOCS` brings it up to date.
pub fn assert_up_to_date(file: &str, generated: &str, sources: &str, test: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, generated).unwrap();
    }
    let current = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == generated,
        "{file} differs from {sources}: run UPDATE_DOCS=1 cargo test --test {test}"
    );
}
