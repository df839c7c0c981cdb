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
    let text = read_text(workspace, path)?;
    Ok(json!({"bytes": text.len(), "lines": text.lines().count(), "path": path, "text": text}))
}

pub(super) fn read_text(workspace: &Dir, path: &str) -> Result<String, String> {
    straight(workspace, path)?;
    let failed = |error: std::io::Error| format!("`{path}`: {error}");
    if !workspace.metadata(path).map_err(failed)?.is_file() {
        return Err(format!("`{path}` is not a file"));
    }
    let file = workspace.open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("`{path}` is larger than {LARGEST} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| format!("`{path}` is not UTF-8 text"))
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
pub(super) fn write(workspace: &Dir, path: &str, content: &str) -> Result<Value, String> {
    let failed = |error: std::io::Error| format!("`{path}`: {error}");
    if let Some((folder, _)) = path.rsplit_once('/') {
        workspace.create_dir_all(folder).map_err(failed)?;
        straight(workspace, folder)?;
    }
    let beside = format!("{path}.part");
    let mut file = workspace.create(&beside).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)?;
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
