//! What drives a browser through the console: where it is.

use std::path::{Path, PathBuf};

/// What `./dev test` installs it from.
const LOCK: &str = include_str!("../console/package-lock.json");

/// A browser, with what drives it.
#[derive(Clone, Debug)]
pub struct Browser {
    /// The folder with the packages.
    pub packages: PathBuf,
    /// Chromium.
    pub chromium: PathBuf,
    /// Node.js, 20 or later.
    pub node: PathBuf,
}

impl Browser {
    /// What `./dev test` installed. Where a change is judged (`CI`) it must be there; elsewhere its absence is said aloud,
    /// and the caller leaves its test.
    pub fn find(test: &str) -> Option<Self> {
        let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.xagent/tools/console");
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let is_ours = |folder: &PathBuf| {
            std::fs::read_to_string(folder.join("package-lock.json")).is_ok_and(|found| found == LOCK)
        };
        let packages = named("XAGENT_TEST_CONSOLE").into_iter().chain([usual]).find(is_ours);
        let chromium = named("XAGENT_TEST_CHROMIUM").into_iter().chain(["/usr/bin/chromium".into()]);
        let chromium = chromium.into_iter().find(|file| file.is_file());
        if let (Some(packages), Some(chromium)) = (packages, chromium) {
            let node = named("XAGENT_TEST_NODE").unwrap_or_else(|| "node".into());
            return Some(Self { packages: packages.canonicalize().unwrap(), chromium, node });
        }
        let missing = format!("{test}: Chromium and what drives it are not there; `./dev test` installs them");
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("SKIPPED {missing}");
        None
    }
}
