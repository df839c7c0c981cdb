//! Where Schemathesis is, which tests an API by its description.

use std::path::{Path, PathBuf};

const VERSION: &str = include_str!("../schemathesis/VERSION");

/// The Schemathesis that `./dev test` installs. Where a change is judged (`CI`) there must be one; elsewhere its absence is
/// said aloud, and the caller leaves its test.
pub fn schemathesis(test: &str) -> Option<PathBuf> {
    let (root, version) = (Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), VERSION.trim());
    let usual = root.join(".xagent/tools").join(format!("schemathesis-{version}")).join("bin/schemathesis");
    let named = std::env::var_os("XAGENT_TEST_SCHEMATHESIS").map(PathBuf::from);
    if let Some(found) = named.into_iter().chain([usual]).find(|file| file.is_file()) {
        return Some(found);
    }
    let missing = format!("{test}: there is no Schemathesis {version}; `./dev test` installs it");
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("SKIPPED {missing}");
    None
}
