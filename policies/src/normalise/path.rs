//! Paths: relative to the workspace, in one spelling.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use xagent_domain::run::PathUse;

use super::{Problem, is_invisible};

const LONGEST: usize = 4096;
/// What file systems take.
const LONGEST_PART: usize = 255;
/// Encodings of `.`, `/`, `\`, `%` and NUL, which a later reader might undo.
const ENCODED: [&str; 5] = ["%2e", "%2f", "%5c", "%25", "%00"];

/// A path inside the workspace: NFC, without `.`, `..` and empty parts. `.` is the workspace itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkspacePath(String);

impl WorkspacePath {
    /// Reads a path, or says why it is none inside the workspace.
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        if raw.is_empty() {
            return Err(Problem("it is empty"));
        }
        if raw.len() > LONGEST {
            return Err(Problem("it is too long"));
        }
        if raw.chars().any(|c| c.is_control() || is_invisible(c)) {
            return Err(Problem("it holds control or invisible characters"));
        }
        if raw.contains('\\') {
            return Err(Problem("it holds a backslash"));
        }
        let lower = raw.to_ascii_lowercase();
        if ENCODED.iter().any(|encoded| lower.contains(encoded)) {
            return Err(Problem("it holds percent-encoded separators"));
        }
        if structure(&raw.nfkc().collect::<String>()) != structure(raw) {
            return Err(Problem("it holds characters that look like separators or dots"));
        }
        inside(&raw.nfc().collect::<String>()).map(Self)
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What gives a path its meaning.
fn structure(text: &str) -> Vec<char> {
    text.chars().filter(|c| matches!(c, '/' | '\\' | '.' | ':' | '~' | '%')).collect()
}

fn inside(path: &str) -> Result<String, Problem> {
    if path.starts_with('/') {
        return Err(Problem("it is absolute, and only paths in the workspace are allowed"));
    }
    let drive = path.as_bytes();
    if path.starts_with('~') || (drive.len() > 1 && drive[0].is_ascii_alphabetic() && drive[1] == b':') {
        return Err(Problem("it names a place outside the workspace"));
    }
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(Problem("it leaves the workspace through `..`"));
    }
    if parts.iter().any(|part| part.trim_matches(['.', ' ']).is_empty()) {
        return Err(Problem("it has a part of nothing but dots and spaces"));
    }
    if parts.iter().any(|part| part.len() > LONGEST_PART) {
        return Err(Problem("it has a part that is too long"));
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// A path relative to the workspace.
pub fn path_use(argument: &str, raw: &str) -> PathUse {
    let (normal, problem) = match WorkspacePath::parse(raw) {
        Ok(path) => (path.0, String::new()),
        Err(problem) => (String::new(), problem.to_string()),
    };
    PathUse { argument: argument.to_owned(), raw: raw.to_owned(), normal, problem }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_come_out_in_one_form() {
        let cases = [
            ("a//b/./c", "a/b/c"),
            ("./a", "a"),
            (".", "."),
            ("./", "."),
            ("a/..b", "a/..b"),
            ("é", "é"),
            ("e\u{301}", "é"),
            ("100%/a", "100%/a"),
            ("ﬁle", "ﬁle"),
        ];
        for (raw, normal) in cases {
            let path = path_use("p", raw);
            assert_eq!((path.normal.as_str(), path.problem.as_str()), (normal, ""), "{raw}");
        }
    }

    #[test]
    fn what_leads_or_seems_to_lead_outside_is_refused() {
        let outside = [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            "a\\..\\b",
            "~/x",
            "~root",
            "c:/x",
            "a\0b",
            "a\nb",
            "//server/x",
            "%2e%2e/x",
            "..%2fx",
            "a%5cb",
            "%252e",
            "a%00",
            "．．/x",
            "a／..",
            "․․/x",
            "a\u{200b}b",
            "\u{202e}txt.exe",
            "a/ /b",
            "a/.../b",
            ".. /x",
            "／etc",
            "ｃ：/x",
        ];
        for raw in outside {
            let path = path_use("p", raw);
            assert!(path.normal.is_empty() && !path.problem.is_empty(), "{raw:?}");
        }
        assert!(!path_use("p", &"a".repeat(256)).problem.is_empty());
        assert!(!path_use("p", &"a/".repeat(3000)).problem.is_empty());
    }

    proptest! {
        #[test]
        fn a_text_has_a_normal_form_inside_or_a_problem(raw in "\\PC{0,40}|[a./\\\\%~: 25efEF]{0,30}") {
            let path = path_use("p", &raw);
            prop_assert_eq!(path.normal.is_empty(), !path.problem.is_empty());
            prop_assert!(!path.normal.starts_with('/'));
            prop_assert!(path.normal.split('/').all(|part| part != ".."));
            prop_assert!(!path.normal.contains(['\\', '\0']));
        }

        #[test]
        fn the_normal_form_stays_as_it_is(raw in "\\PC{1,40}") {
            if let Ok(path) = WorkspacePath::parse(&raw) {
                prop_assert_eq!(WorkspacePath::parse(path.as_str()), Ok(path));
            }
        }
    }
}
