//! The official tools of MCP that the tests are held against: where they are.

use std::path::{Path, PathBuf};

/// What `./dev test` installs them from.
const PACKAGES: &str = include_str!("../mcp/package.json");
const REQUIREMENTS: &str = include_str!("../mcp/requirements.txt");

/// The folder of the official MCP tools.
#[derive(Clone, Debug)]
pub struct McpTools(PathBuf);

impl McpTools {
    /// Those that `./dev test` installed. Where a change is judged (`CI`) they must be there; elsewhere their absence is
    /// said aloud, and the caller leaves its test.
    pub fn find(test: &str) -> Option<Self> {
        let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.xagent/tools/mcp");
        let named = std::env::var_os("XAGENT_TEST_MCP").map(PathBuf::from);
        let is_theirs = |folder: &PathBuf| {
            let holds = |file, text| std::fs::read_to_string(folder.join(file)).is_ok_and(|found| found == text);
            holds("package.json", PACKAGES) && holds("requirements.txt", REQUIREMENTS)
        };
        if let Some(found) = named.into_iter().chain([usual]).find(is_theirs) {
            return Some(Self(found.canonicalize().unwrap()));
        }
        let missing = format!("{test}: the official MCP tools are not there; `./dev test` installs them");
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("SKIPPED {missing}");
        None
    }

    /// The Node.js they run on.
    pub fn node(&self) -> PathBuf {
        self.0.join("node_modules/node/bin/node")
    }

    /// A program of one of the packages, to be run by [`McpTools::node`].
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join("node_modules/.bin").join(name).canonicalize().unwrap()
    }

    /// Where Python finds the official client.
    pub fn python_path(&self) -> PathBuf {
        self.0.join("python")
    }
}
