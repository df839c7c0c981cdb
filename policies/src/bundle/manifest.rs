//! `.manifest`: what a bundle's maker calls it, and what it owns.

use serde::Deserialize;
use serde_json::Value;

use super::BundleError;
use super::files::{MANIFEST, unfit};

/// The part of OPA's manifest that means something here.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    pub revision: String,
    #[serde(default = "everything")]
    pub roots: Vec<String>,
    #[serde(default)]
    wasm: Vec<Value>,
    #[serde(default = "one")]
    rego_version: u8,
    #[serde(default)]
    file_rego_versions: std::collections::BTreeMap<String, u8>,
}

fn everything() -> Vec<String> {
    vec![String::new()]
}

fn one() -> u8 {
    1
}

impl Manifest {
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let wrong = |detail: String| unfit(MANIFEST, &detail);
        let mut manifest: Self = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if !manifest.wasm.is_empty() {
            return Err(wrong("compiled policies are not taken: leave `wasm` out".to_owned()));
        }
        if manifest.rego_version != 1 || manifest.file_rego_versions.values().any(|version| *version != 1) {
            return Err(wrong(
                "only Rego v1 is taken: mend `rego_version`, and rewrite with `opa fmt --v0-v1`".to_owned(),
            ));
        }
        if manifest.revision.chars().count() > 256 || manifest.revision.chars().any(char::is_control) {
            return Err(wrong("`revision` has at most 256 characters, none of them control characters".to_owned()));
        }
        for root in &mut manifest.roots {
            *root = root.trim_matches('/').to_owned();
        }
        manifest.roots.sort();
        let pairs = manifest.roots.windows(2);
        let within =
            |outer: &str, inner: &str| outer.is_empty() || inner == outer || inner.starts_with(&format!("{outer}/"));
        if let Some([outer, inner]) = pairs.into_iter().find(|pair| within(&pair[0], &pair[1])) {
            return Err(wrong(format!("the roots `{outer}` and `{inner}` overlap")));
        }
        Ok(manifest)
    }
}
