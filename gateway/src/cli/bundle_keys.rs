//! Whose signatures on policy bundles are believed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use xagent_policies::{Key, Trust};

use super::CliError;

/// Whose signatures on policy bundles are believed.
#[derive(Args, Clone)]
pub struct BundleKeys {
    /// A JSON file of the keys that may sign policy bundles: {"ID": {"algorithm": "RS256", "key": "PEM", "scope": ""}}.
    /// Where it is given, only signed bundles are taken
    #[arg(long, env = "XAGENT_BUNDLE_KEYS_FILE", value_name = "FILE")]
    bundle_keys_file: Option<PathBuf>,
}

impl BundleKeys {
    /// What is demanded of a bundle. Without keys, a signed bundle is refused: nobody could check it.
    pub fn trust(&self) -> Result<Trust, CliError> {
        let Some(file) = &self.bundle_keys_file else { return Ok(Trust::Keys(BTreeMap::new())) };
        let wrong = |message: String| {
            let remedy = "see docs/bundles.md for the form; the algorithm is pinned per key";
            CliError::new(format!("{}: {message}", file.display()), remedy)
        };
        let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
        let keys: BTreeMap<String, Key> = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if keys.is_empty() {
            return Err(wrong("it names no key".to_owned()));
        }
        Ok(Trust::Keys(keys))
    }

    /// The same for who only looks: without keys nothing is demanded.
    pub fn trust_or_none(&self) -> Result<Trust, CliError> {
        if self.bundle_keys_file.is_some() { self.trust() } else { Ok(Trust::Unchecked) }
    }
}
