//! Bundles: Rego modules and data under one digest.

mod archive;
mod files;
mod manifest;
mod signature;
mod structured;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use xagent_domain::{CanonicalJson, Digest};

pub use files::Files;
pub use signature::{Key, Trust};

const MOST_MODULES: usize = 1000;
const LARGEST: usize = 1024 * 1024;

/// Modules by path, and the data document in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    modules: BTreeMap<String, String>,
    data: CanonicalJson,
    revision: String,
    roots: Vec<String>,
    signed_by: Option<String>,
}

/// Why files are no bundle, or a bundle does not load.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read, or has no place in a bundle.
    #[error("{path}: {detail}")]
    File {
        /// The file or folder.
        path: String,
        /// Why.
        detail: String,
    },
    /// The data is not JSON of a form that every reader reads alike.
    #[error("data.json: {0}")]
    Data(String),
    /// It is too large.
    #[error("a bundle has at most {MOST_MODULES} modules of at most {LARGEST} bytes: {0}")]
    TooLarge(String),
    /// The archive is not a gzipped tar file as OPA writes them.
    #[error("the archive: {0}")]
    Archive(String),
    /// It is not signed by a key that is trusted here.
    #[error(".signatures.json: {0}")]
    Signature(String),
    /// A module does not parse or compile.
    #[error("the bundle does not compile: {0}")]
    Compile(String),
}

impl Bundle {
    /// The bundle this system comes with.
    pub fn stock() -> Result<Self, BundleError> {
        let modules = [
            ("api.rego", include_str!("../../rego/api.rego")),
            ("api_test.rego", include_str!("../../rego/api_test.rego")),
            ("base.rego", include_str!("../../rego/base.rego")),
            ("base_test.rego", include_str!("../../rego/base_test.rego")),
            ("tools.rego", include_str!("../../rego/tools.rego")),
            ("tools_reasons.rego", include_str!("../../rego/tools_reasons.rego")),
            ("tools_test.rego", include_str!("../../rego/tools_test.rego")),
            ("tools_values_test.rego", include_str!("../../rego/tools_values_test.rego")),
        ];
        let modules = modules.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        Self::from_parts(modules, include_str!("../../rego/data.json"))
    }

    /// The bundle of these modules and this data document.
    pub fn from_parts(modules: BTreeMap<String, String>, data: &str) -> Result<Self, BundleError> {
        if modules.len() > MOST_MODULES || data.len() > LARGEST {
            return Err(BundleError::TooLarge(format!("{} modules, {} bytes of data", modules.len(), data.len())));
        }
        if let Some((path, text)) = modules.iter().find(|(_, text)| text.len() > LARGEST) {
            return Err(BundleError::TooLarge(format!("`{path}` has {} bytes", text.len())));
        }
        let data = CanonicalJson::parse(data).map_err(|error| BundleError::Data(error.to_string()))?;
        Ok(Self { modules, data, revision: String::new(), roots: vec![String::new()], signed_by: None })
    }

    /// The bundle of a folder: every `.rego` file and every `data.json` in it and below, and `.manifest`. A signature is
    /// not looked at: see [`Files::bundle`].
    pub fn from_folder(folder: &Path) -> Result<Self, BundleError> {
        Files::from_folder(folder)?.bundle(&Trust::Unchecked)
    }

    /// Modules by path.
    pub fn modules(&self) -> &BTreeMap<String, String> {
        &self.modules
    }

    /// The data document, canonical.
    pub fn data(&self) -> &str {
        self.data.as_str()
    }

    /// What its maker calls it; empty where the manifest says nothing.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The paths it owns; one empty path where it owns everything.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// The id of the key whose signature was checked.
    pub fn signed_by(&self) -> Option<&str> {
        self.signed_by.as_deref()
    }

    /// What names the bundle: the digest of the digests of its parts. Revision, roots and signature decide nothing, so
    /// they are no part of it.
    pub fn digest(&self) -> Digest {
        let modules = self.modules.iter().map(|(path, text)| (path.as_str(), Digest::of(text.as_bytes())));
        let parts = json!({"data": self.data.digest(), "modules": modules.collect::<BTreeMap<_, _>>()});
        // Keys are sorted and all values are texts, so this already is the canonical form.
        Digest::of(parts.to_string().as_bytes())
    }
}

/// Whether a module holds tests, which take no part in decisions.
pub(crate) fn is_test(path: &str) -> bool {
    path.ends_with("_test.rego")
}
