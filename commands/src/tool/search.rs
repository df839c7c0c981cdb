//! Text search over files of the workspace.

use cap_std::fs::Dir;
use serde_json::{Value, json};

use super::files::{read_text, walk};

/// Files looked into at most.
const MOST_FILES: usize = 20_000;
/// Characters of a line that are shown.
const SHOWN: usize = 300;

pub(super) fn search(workspace: &Dir, path: &str, text: &str, limit: usize) -> Result<Value, String> {
    let (files, truncated) = walk(workspace, path, MOST_FILES)?;
    let mut matches = Vec::new();
    let mut searched = 0_u64;
    for file in files {
        let Ok(content) = read_text(workspace, &file) else { continue };
        searched += 1;
        for (index, line) in content.lines().enumerate().filter(|(_, line)| line.contains(text)) {
            if matches.len() == limit {
                return Ok(found(matches, searched, true));
            }
            let shown: String = line.trim().chars().take(SHOWN).collect();
            matches.push(json!({"line": index + 1, "path": file, "text": shown}));
        }
    }
    Ok(found(matches, searched, truncated))
}

fn found(matches: Vec<Value>, searched: u64, truncated: bool) -> Value {
    json!({"count": matches.len(), "files_searched": searched, "matches": matches, "truncated": truncated})
}
