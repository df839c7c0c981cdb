//! Files of the workspace.

use std::io::{Read, Write};

use cap_std::fs::{Dir, DirEntry};
use serde_json::{Value, json};

/// A larger file is not read.
pub(super) const LARGEST: u64 = 1024 * 1024;
/// Folders deeper than this are left out.
const DEEPEST: usize = 32;
/// Folders no listing or search goes into.
const SKIPPED: [&str; 2] = ["target", "node_modules"];

pub(super) fn list(workspace: &Dir, path: &str, limit: usize) -> Result<Value, String> {
    let (files, truncated) = walk(workspace, path, limit)?;
    Ok(json!({"count": files.len(), "files": files, "truncated": truncated}))
}

pub(super) fn read(workspace: &Dir, path: &str) -> Result<Value, String> {
    let (bytes, whole) = read_bytes(workspace, path, LARGEST)?;
    let truncated = whole > bytes.len() as u64;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // Where it was cut, a character may be in two.
        Err(error) if truncated && error.utf8_error().error_len().is_none() => {
            let end = error.utf8_error().valid_up_to();
            String::from_utf8_lossy(&error.as_bytes()[..end]).into_owned()
        }
        Err(_) => return Err(format!("`{path}` is not UTF-8 text")),
    };
    let lines = text.lines().count();
    Ok(json!({"bytes": whole, "lines": lines, "path": path, "text": text, "truncated": truncated}))
}

/// The whole text of a file that is not too large.
pub(super) fn read_text(workspace: &Dir, path: &str) -> Result<String, String> {
    let (bytes, whole) = read_bytes(workspace, path, LARGEST)?;
    if whole > LARGEST {
        return Err(format!("`{path}` is larger than {LARGEST} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| format!("`{path}` is not UTF-8 text"))
}

/// The first `most` bytes of a plain file, and how long all of it is.
pub(super) fn read_bytes(workspace: &Dir, path: &str, most: u64) -> Result<(Vec<u8>, u64), String> {
    straight(workspace, path)?;
    let failed = |error: std::io::Error| format!("`{path}`: {error}");
    let found = workspace.metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(format!("`{path}` is not a file"));
    }
    let mut bytes = Vec::new();
    workspace.open(path).map_err(failed)?.take(most).read_to_end(&mut bytes).map_err(failed)?;
    let whole = found.len().max(bytes.len() as u64);
    Ok((bytes, whole))
}

/// Whether a file's name alone says that it holds secrets: a search or a run over a folder leaves it out, for the law saw the
/// folder's name only.
pub(super) fn holds_secrets(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    let keys = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"].iter().any(|key| name.starts_with(key));
    keys || ["pem", "key", "p12", "pfx", "keystore"].contains(&suffix)
        || ["credentials", "secret", "secrets"].contains(&stem)
}

/// A link inside the workspace must not lead past what the law said about the path it was shown.
fn straight(workspace: &Dir, path: &str) -> Result<(), String> {
    let real = workspace.canonicalize(path).map_err(|error| format!("`{path}`: {error}"))?;
    if path == "." || real == std::path::Path::new(path) {
        return Ok(());
    }
    Err(format!("`{path}` leads elsewhere through a symbolic link"))
}

/// Beside it, then renamed over it: a reader sees the old file or the new one, never half of it.
pub(super) fn write(workspace: &Dir, path: &str, content: &[u8]) -> Result<Value, String> {
    let failed = |error: std::io::Error| format!("`{path}`: {error}");
    if let Some((folder, _)) = path.rsplit_once('/') {
        workspace.create_dir_all(folder).map_err(failed)?;
        straight(workspace, folder)?;
    }
    let beside = format!("{path}.part");
    let mut file = workspace.create(&beside).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    workspace.rename(&beside, workspace, path).map_err(failed)?;
    Ok(json!({"bytes": content.len(), "path": path}))
}

/// Files under `path` in order of their names, and whether there are more than `limit`.
pub(super) fn walk(workspace: &Dir, path: &str, limit: usize) -> Result<(Vec<String>, bool), String> {
    straight(workspace, path)?;
    let mut files = Vec::new();
    let mut open = vec![(path.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let entries = workspace.read_dir(&folder).map_err(|error| format!("`{folder}`: {error}"))?;
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(DirEntry::file_name);
        let mut folders = Vec::new();
        for entry in entries {
            let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
            let full = if folder == "." { name.clone() } else { format!("{folder}/{name}") };
            let skipped = name.starts_with('.') || SKIPPED.contains(&name.as_str());
            if kind.is_dir() && !skipped && depth < DEEPEST {
                folders.push((full, depth + 1));
            } else if kind.is_file() && !skipped {
                if files.len() == limit {
                    return Ok((files, true));
                }
                files.push(full);
            }
        }
        open.extend(folders.into_iter().rev());
    }
    Ok((files, false))
}
