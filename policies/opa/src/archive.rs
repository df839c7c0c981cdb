//! A bundle as OPA loads it: `tar.gz` with a `.manifest` whose revision is the digest and whose roots are everything, so
//! that OPA itself refuses any other policy or data beside it.

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use xagent_policies::Bundle;

/// The same bytes for the same bundle. Tests are left out.
pub fn archive(bundle: &Bundle) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let manifest = json!({"revision": bundle.digest(), "rego_version": 1, "roots": [""]}).to_string();
    let modules = bundle.modules().iter().filter(|(path, _)| !path.ends_with("_test.rego"));
    let modules = modules.map(|(path, text)| (path.as_str(), text.as_str()));
    for (path, text) in [(".manifest", manifest.as_str()), ("data.json", bundle.data())].into_iter().chain(modules) {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes())?;
    }
    tar.into_inner()?.finish()
}

/// Puts `bytes` in the place of `file`, whole or not at all.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut part = tempfile::Builder::new().prefix(".bundle-").tempfile_in(folder)?;
    part.write_all(bytes)?;
    part.as_file().sync_all()?;
    // OPA may run as another user; what decides is no secret to it.
    #[cfg(unix)]
    part.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    part.persist(file).map(drop).map_err(|error| error.error)
}
