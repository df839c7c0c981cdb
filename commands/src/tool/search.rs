//! Text search over files of the workspace.

use cap_std::fs::Dir;
use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};

use super::files::{holds_secrets, read_text, walk};

/// Files looked into at most.
const MOST_FILES: usize = 20_000;
/// Characters of a line that are shown.
const SHOWN: usize = 300;
/// A compiled pattern and its caches, in bytes.
const PATTERN: usize = 1 << 20;

/// What is looked for in each line.
pub(super) enum Sought<'a> {
    Text(&'a str),
    Pattern(Regex),
}

impl<'a> Sought<'a> {
    /// Of a call's arguments; its schema lets one of both through.
    pub(super) fn of(arguments: &'a Value) -> Result<Self, String> {
        let Some(pattern) = arguments["pattern"].as_str() else {
            return Ok(Self::Text(arguments["text"].as_str().unwrap_or_default()));
        };
        let regex = RegexBuilder::new(pattern).size_limit(PATTERN).dfa_size_limit(PATTERN).nest_limit(50).build();
        regex.map(Self::Pattern).map_err(|error| format!("`pattern`: {error}"))
    }

    fn is_in(&self, line: &str) -> bool {
        match self {
            Self::Text(text) => line.contains(text),
            Self::Pattern(pattern) => pattern.is_match(line),
        }
    }
}

pub(super) fn search(workspace: &Dir, path: &str, sought: &Sought<'_>, limit: usize) -> Result<Value, String> {
    let (files, truncated) = walk(workspace, path, MOST_FILES)?;
    let mut matches = Vec::new();
    let mut searched = 0_u64;
    for file in files.into_iter().filter(|file| !holds_secrets(file)) {
        let Ok(content) = read_text(workspace, &file) else { continue };
        searched += 1;
        for (index, line) in content.lines().enumerate().filter(|(_, line)| sought.is_in(line)) {
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
