//! The files a bundle is made of, from a folder or an archive, and what they add up to.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use xagent_domain::CanonicalJson;

use super::manifest::Manifest;
use super::signature::{Trust, verify};
use super::{Bundle, BundleError, LARGEST, archive};

/// Where OPA looks for what a bundle owns and for its signature.
pub(super) const MANIFEST: &str = ".manifest";
pub(super) const SIGNATURES: &str = ".signatures.json";
/// Files of all kinds.
pub(super) const MOST_FILES: usize = 2000;
/// Bytes of all files together.
pub(super) const LARGEST_TOTAL: usize = 16 * 1024 * 1024;
/// Folders within each other.
const DEEPEST: usize = 32;

/// Files by path, as they are in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// Every file in a folder and below but the hidden ones, which no bundle has beside its manifest and signature.
    pub fn from_folder(folder: &Path) -> Result<Self, BundleError> {
        let mut files = Self(BTreeMap::new());
        let mut open = vec![(folder.to_owned(), 0)];
        while let Some((next, depth)) = open.pop() {
            for entry in std::fs::read_dir(&next).map_err(|error| unreadable(&next, &error))? {
                let path = entry.map_err(|error| unreadable(&next, &error))?.path();
                let name = relative(folder, &path)?;
                let hidden = name.rsplit('/').next().is_some_and(|last| last.starts_with('.'));
                match path.is_dir() {
                    _ if hidden && name != MANIFEST && name != SIGNATURES => {}
                    true if depth == DEEPEST => {
                        return Err(BundleError::TooLarge(format!("`{name}` is more than {DEEPEST} folders deep")));
                    }
                    true => open.push((path, depth + 1)),
                    false => files.insert(name, std::fs::read(&path).map_err(|error| unreadable(&path, &error))?)?,
                }
            }
        }
        Ok(files)
    }

    /// The files of an OPA bundle, a gzipped tar file.
    pub fn from_archive(bytes: &[u8]) -> Result<Self, BundleError> {
        let mut files = Self(BTreeMap::new());
        archive::read(bytes, |path, content| files.insert(path, content))?;
        Ok(files)
    }

    /// The same files as an OPA bundle: equal files, equal bytes.
    pub fn pack(&self) -> Result<Vec<u8>, BundleError> {
        archive::write(&self.0)
    }

    pub(super) fn insert(&mut self, path: String, content: Vec<u8>) -> Result<(), BundleError> {
        let all: usize = self.0.values().map(Vec::len).sum();
        if self.0.len() >= MOST_FILES || all + content.len() > LARGEST_TOTAL {
            let bound = format!("more than {MOST_FILES} files or {LARGEST_TOTAL} bytes");
            return Err(BundleError::TooLarge(bound));
        }
        if self.0.contains_key(&path) {
            return Err(BundleError::File { path, detail: "it is there twice".to_owned() });
        }
        self.0.insert(path, content);
        Ok(())
    }

    /// What the files add up to, if they are signed as `trust` demands.
    pub fn bundle(&self, trust: &Trust) -> Result<Bundle, BundleError> {
        let signed_by = verify(&self.0, trust)?;
        let (mut modules, mut data) = (BTreeMap::new(), Value::Object(Map::new()));
        for (path, content) in &self.0 {
            let name = path.rsplit('/').next().unwrap_or_default();
            if content.len() > LARGEST {
                return Err(BundleError::TooLarge(format!("`{path}` has {} bytes", content.len())));
            }
            match name {
                "data.json" => merge_file(&mut data, path, text(path, content)?)?,
                "data.yaml" | "data.yml" => return Err(unfit(path, "data is read as JSON only: make it data.json")),
                _ if name.ends_with(".wasm") => return Err(unfit(path, "compiled policies are not taken: bring Rego")),
                _ if name.ends_with(".rego") => {
                    modules.insert(path.clone(), text(path, content)?.to_owned());
                }
                // As in OPA, other files are carried along and mean nothing.
                _ => {}
            }
        }
        let manifest = self.0.get(MANIFEST).map(|content| Manifest::parse(text(MANIFEST, content)?)).transpose()?;
        let data = CanonicalJson::of_value(&data).map_err(|error| BundleError::Data(error.to_string()))?;
        let mut bundle = Bundle::from_parts(modules, data.as_str())?;
        if let Some(manifest) = manifest {
            (bundle.revision, bundle.roots) = (manifest.revision, manifest.roots);
        }
        bundle.signed_by = signed_by;
        Ok(bundle)
    }
}

/// A `data.json` in `a/b` is the data below `a.b`.
fn merge_file(data: &mut Value, path: &str, text: &str) -> Result<(), BundleError> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| unfit(path, &error.to_string()))?;
    let folders: Vec<_> = path.split('/').collect();
    for folder in folders[..folders.len() - 1].iter().rev() {
        value = Value::Object(Map::from_iter([((*folder).to_owned(), value)]));
    }
    if !value.is_object() {
        return Err(unfit(path, "the data document is an object"));
    }
    merge(data, value, path, String::new())
}

fn merge(into: &mut Value, from: Value, path: &str, at: String) -> Result<(), BundleError> {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                let at = format!("{at}/{name}");
                match into.get_mut(&name) {
                    Some(there) => merge(there, value, path, at)?,
                    None => drop(into.insert(name, value)),
                }
            }
            Ok(())
        }
        (into, from) if *into == from => Ok(()),
        _ => Err(unfit(path, &format!("another data.json says something else of `{at}`"))),
    }
}

fn text<'a>(path: &str, content: &'a [u8]) -> Result<&'a str, BundleError> {
    std::str::from_utf8(content).map_err(|error| unfit(path, &format!("it is not UTF-8: {error}")))
}

pub(super) fn unfit(path: &str, detail: &str) -> BundleError {
    BundleError::File { path: path.to_owned(), detail: detail.to_owned() }
}

fn relative(folder: &Path, path: &Path) -> Result<String, BundleError> {
    let inside = path.strip_prefix(folder).unwrap_or(path);
    let parts: Option<Vec<_>> = inside.iter().map(|part| part.to_str()).collect();
    let unnamed = || unfit(&path.display().to_string(), "its name is not UTF-8");
    parts.map(|parts| parts.join("/")).ok_or_else(unnamed)
}

fn unreadable(path: &Path, error: &std::io::Error) -> BundleError {
    unfit(&path.display().to_string(), &error.to_string())
}
