//! Bundles: Rego modules and data under one digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use xagent_domain::{CanonicalJson, Digest};

const MOST_MODULES: usize = 1000;
const LARGEST: usize = 1024 * 1024;

/// Modules by path, and the data document in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    modules: BTreeMap<String, String>,
    data: CanonicalJson,
}

/// Why files are no bundle, or a bundle does not load.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read.
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
    /// A module does not parse or compile.
    #[error("the bundle does not compile: {0}")]
    Compile(String),
}

impl Bundle {
    /// The bundle this system comes with.
    pub fn stock() -> Result<Self, BundleError> {
        let modules = [
            ("api.rego", include_str!("../rego/api.rego")),
            ("api_test.rego", include_str!("../rego/api_test.rego")),
            ("base.rego", include_str!("../rego/base.rego")),
            ("base_test.rego", include_str!("../rego/base_test.rego")),
            ("tools.rego", include_str!("../rego/tools.rego")),
            ("tools_reasons.rego", include_str!("../rego/tools_reasons.rego")),
            ("tools_test.rego", include_str!("../rego/tools_test.rego")),
            ("tools_values_test.rego", include_str!("../rego/tools_values_test.rego")),
        ];
        let modules = modules.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        Self::from_parts(modules, include_str!("../rego/data.json"))
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
        Ok(Self { modules, data })
    }

    /// The bundle of a folder: every `.rego` file in it and below, and `data.json`.
    pub fn from_folder(folder: &Path) -> Result<Self, BundleError> {
        let mut modules = BTreeMap::new();
        let mut open = vec![folder.to_owned()];
        while let Some(next) = open.pop() {
            for entry in std::fs::read_dir(&next).map_err(|error| unreadable(&next, &error))? {
                let path = entry.map_err(|error| unreadable(&next, &error))?.path();
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rego") {
                    modules.insert(relative(folder, &path)?, read(&path)?);
                }
            }
            if modules.len() > MOST_MODULES {
                return Err(BundleError::TooLarge(format!("more than {MOST_MODULES} modules")));
            }
        }
        let data = folder.join("data.json");
        Self::from_parts(modules, &if data.exists() { read(&data)? } else { "{}".to_owned() })
    }

    /// Modules by path.
    pub fn modules(&self) -> &BTreeMap<String, String> {
        &self.modules
    }

    /// The data document, canonical.
    pub fn data(&self) -> &str {
        self.data.as_str()
    }

    /// What names the bundle: the digest of the digests of its parts.
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

fn read(path: &PathBuf) -> Result<String, BundleError> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn relative(folder: &Path, path: &Path) -> Result<String, BundleError> {
    let inside = path.strip_prefix(folder).unwrap_or(path);
    let parts: Option<Vec<_>> = inside.iter().map(|part| part.to_str()).collect();
    let unnamed = || BundleError::File { path: path.display().to_string(), detail: "its name is not UTF-8".to_owned() };
    parts.map(|parts| parts.join("/")).ok_or_else(unnamed)
}

fn unreadable(path: &Path, error: &std::io::Error) -> BundleError {
    BundleError::File { path: path.display().to_string(), detail: error.to_string() }
}
