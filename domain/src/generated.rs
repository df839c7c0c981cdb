//! Files that tests generate and compare; with `XAGENT_REGENERATE` set, they are written instead. For tests only.

use std::path::Path;

/// Compares `path`, from the package's root, with what it should hold.
#[track_caller]
pub(crate) fn compare(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("XAGENT_REGENERATE").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "`{path}` is not what the code says: run the test with XAGENT_REGENERATE=1");
}
