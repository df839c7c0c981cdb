//! Files that tests generate and compare; with `XAGENT_REGENERATE` set, they are written instead.

use std::path::Path;

/// Compares the file at `path`, from the repository's root, with what it should hold.
#[track_caller]
pub fn compare(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("XAGENT_REGENERATE").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "`{path}` is not what was measured: run the test with XAGENT_REGENERATE=1, and read it");
}

/// As [`compare`], for the part between `<!-- NAME -->` and `<!-- end of NAME -->`.
#[track_caller]
pub fn compare_part(path: &str, name: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = std::fs::read_to_string(file).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    compare(path, &format!("{before}{begin}\n{expected}\n{end}{after}"));
}
