//! What the gate finds: where, what, and what to write instead.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ast::Span;

/// One thing in a bundle's way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The module or file; empty where it is about the whole bundle.
    pub path: String,
    /// From 1; 0 where it is about the whole file.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// How many characters of the line it is about.
    pub width: usize,
    /// A stable code, for example `non_deterministic`; `docs/bundles.md` lists them.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
    /// The line itself.
    pub source: String,
}

impl Finding {
    /// About a whole file.
    pub(crate) fn of_file(path: &str, code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: 0,
            column: 0,
            width: 0,
            code: code.to_owned(),
            message: message.into(),
            remedy: remedy.into(),
            source: String::new(),
        }
    }

    /// At a place of a module's text.
    #[must_use]
    pub(crate) fn at(self, text: &str, span: Span) -> Self {
        let start = floor(text, span.start);
        let before = &text[..start];
        let begins = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        self.on_line(text, line, text[begins..start].chars().count() + 1, shown(&text[start..floor(text, span.end)]))
    }

    /// At a line and column of a module's text, as wide as `what`.
    #[must_use]
    pub(crate) fn on_line(mut self, text: &str, line: usize, column: usize, what: &str) -> Self {
        text.lines().nth(line.saturating_sub(1)).unwrap_or_default().clone_into(&mut self.source);
        (self.line, self.column, self.width) = (line, column, what.chars().count().max(1));
        self
    }
}

/// What is underlined ends with the line.
fn shown(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_end()
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.as_str(), self.line) {
            ("", _) => {}
            (path, 0) => write!(f, "{path}: ")?,
            (path, line) => write!(f, "{path}:{line}:{}: ", self.column)?,
        }
        write!(f, "{}: {}", self.message, self.remedy)
    }
}
