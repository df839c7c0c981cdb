//! Whether a regular expression means the same to Rust's regex and to RE2, which OPA uses. Whatever does not is named.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    self, Assertion, AssertionKind, Ast, ClassSetItem, Flag, FlagsItemKind, HexLiteralKind, Literal, LiteralKind,
    RepetitionKind, RepetitionRange, Visitor,
};

/// RE2's own bound on counted repetition, also of repetitions within each other.
const MOST_REPETITIONS: u64 = 1000;

/// Why a pattern does not mean the same to both engines, with the remedy; none where it does.
pub(crate) fn objection(pattern: &str) -> Option<(String, &'static str)> {
    let tree = match Parser::new().parse(pattern) {
        Ok(tree) => tree,
        Err(error) => return Some(unreadable(error.kind())),
    };
    if let Err(objection) = ast::visit(&tree, Portable { pattern, repeated: Vec::new() }) {
        return Some(objection);
    }
    let refused = regex::Regex::new(pattern).err()?;
    Some((
        format!("it does not compile: {}", refused.to_string().lines().last().unwrap_or_default()),
        "make it smaller",
    ))
}

fn unreadable(kind: &ast::ErrorKind) -> (String, &'static str) {
    match kind {
        ast::ErrorKind::UnsupportedLookAround => {
            ("it looks around, which no engine here can".to_owned(), "match what is there, and compare with `== false`")
        }
        ast::ErrorKind::UnsupportedBackreference => {
            ("it refers back to a group, which no engine here can".to_owned(), "list the cases")
        }
        other => {
            (format!("it is no regular expression: {other}"), "mend it; a backslash before a sign takes it literally")
        }
    }
}

/// What was found, and what to write instead.
type Objection = (String, &'static str);

struct Portable<'p> {
    pattern: &'p str,
    /// The counts of the repetitions that are open.
    repeated: Vec<u64>,
}

impl Portable<'_> {
    fn written(&self, span: &ast::Span) -> &str {
        self.pattern.get(span.start.offset..span.end.offset).unwrap_or_default()
    }

    fn unicode(&self, span: &ast::Span, remedy: &'static str) -> Result<(), Objection> {
        let message = format!("`{}` knows Unicode in one engine and only ASCII in the other", self.written(span));
        Err((message, remedy))
    }

    fn perl(&self, class: &ast::ClassPerl) -> Result<(), Objection> {
        let remedy = match class.kind {
            ast::ClassPerlKind::Digit => "write [0-9]",
            ast::ClassPerlKind::Space => "write [ \\t\\r\\n]",
            ast::ClassPerlKind::Word => "write [A-Za-z0-9_]",
        };
        self.unicode(&class.span, remedy)
    }

    fn unicode_class(&self, span: &ast::Span) -> Result<(), Objection> {
        let message = format!("`{}` rests on the version of Unicode an engine was built with", self.written(span));
        Err((message, "list the characters, or their ranges"))
    }

    fn literal(&self, literal: &Literal) -> Result<(), Objection> {
        let one_sided = match &literal.kind {
            LiteralKind::HexFixed(kind) => *kind != HexLiteralKind::X,
            LiteralKind::HexBrace(kind) => *kind != HexLiteralKind::X,
            LiteralKind::Superfluous => true,
            LiteralKind::Special(kind) => *kind == ast::SpecialLiteralKind::Space,
            LiteralKind::Verbatim | LiteralKind::Meta | LiteralKind::Octal => false,
        };
        if !one_sided {
            return Ok(());
        }
        let message = format!("only one engine knows the escape `{}`", self.written(&literal.span));
        Err((message, "write the character itself, or \\x{...}"))
    }

    fn assertion(&self, assertion: &Assertion) -> Result<(), Objection> {
        match assertion.kind {
            AssertionKind::StartLine | AssertionKind::EndLine | AssertionKind::StartText | AssertionKind::EndText => {
                Ok(())
            }
            AssertionKind::WordBoundary | AssertionKind::NotWordBoundary => {
                self.unicode(&assertion.span, "write (^|[^A-Za-z0-9_]) before and ($|[^A-Za-z0-9_]) after the word")
            }
            _ => {
                let message = format!("only one engine knows `{}`", self.written(&assertion.span));
                Err((message, "write (^|[^A-Za-z0-9_]) before and ($|[^A-Za-z0-9_]) after the word"))
            }
        }
    }

    fn flags(&self, flags: &ast::Flags) -> Result<(), Objection> {
        for item in &flags.items {
            let FlagsItemKind::Flag(flag) = &item.kind else { continue };
            let (message, remedy) = match flag {
                Flag::MultiLine | Flag::DotMatchesNewLine | Flag::SwapGreed => continue,
                Flag::CaseInsensitive => (
                    "the flag `i` folds letters beyond ASCII, which engines do differently",
                    "write both cases: [Ee][Vv]",
                ),
                Flag::Unicode | Flag::CRLF | Flag::IgnoreWhitespace => {
                    ("only one engine knows the flags `u`, `R`, `x`", "leave the flag out")
                }
            };
            return Err((message.to_owned(), remedy));
        }
        Ok(())
    }

    fn repetition(&mut self, repetition: &ast::Repetition) -> Result<(), Objection> {
        let written = self.written(&repetition.op.span).to_owned();
        if written.starts_with("{,") {
            let message = format!("`{written}` is a repetition in one engine and plain text in the other");
            return Err((message, "write {0,n}"));
        }
        let count = match &repetition.op.kind {
            RepetitionKind::Range(
                RepetitionRange::Exactly(most) | RepetitionRange::AtLeast(most) | RepetitionRange::Bounded(_, most),
            ) => u64::from(*most).max(1),
            _ => 1,
        };
        self.repeated.push(count);
        let all = self.repeated.iter().fold(1_u64, |all, count| all.saturating_mul(*count));
        if all <= MOST_REPETITIONS {
            return Ok(());
        }
        let message = format!("`{written}` repeats {all} times, and RE2 at most {MOST_REPETITIONS}");
        Err((message, "repeat less often, or compare the length with count(...)"))
    }
}

impl Visitor for Portable<'_> {
    type Output = ();
    type Err = Objection;

    fn finish(self) -> Result<(), Objection> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Objection> {
        match ast {
            Ast::Empty(_) | Ast::Dot(_) | Ast::ClassBracketed(_) | Ast::Alternation(_) | Ast::Concat(_) => Ok(()),
            Ast::Flags(set) => self.flags(&set.flags),
            Ast::Literal(literal) => self.literal(literal),
            Ast::Assertion(assertion) => self.assertion(assertion),
            Ast::ClassUnicode(class) => self.unicode_class(&class.span),
            Ast::ClassPerl(class) => self.perl(class),
            Ast::Repetition(repetition) => self.repetition(repetition),
            Ast::Group(group) => match &group.kind {
                ast::GroupKind::NonCapturing(flags) => self.flags(flags),
                ast::GroupKind::CaptureIndex(_) | ast::GroupKind::CaptureName { .. } => Ok(()),
            },
        }
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), Objection> {
        if matches!(ast, Ast::Repetition(_)) {
            self.repeated.pop();
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Objection> {
        match item {
            ClassSetItem::Literal(literal) => self.literal(literal),
            ClassSetItem::Range(range) => self.literal(&range.start).and_then(|()| self.literal(&range.end)),
            ClassSetItem::Unicode(class) => self.unicode_class(&class.span),
            ClassSetItem::Perl(class) => self.perl(class),
            ClassSetItem::Bracketed(class) => {
                let message = format!("`{}` is a class in a class for one engine only", self.written(&class.span));
                Err((message, "take the sign literally with \\["))
            }
            ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) | ClassSetItem::Union(_) => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, op: &ast::ClassSetBinaryOp) -> Result<(), Objection> {
        let message = format!("only one engine computes with classes, as in `{}`", self.written(&op.span));
        Err((message, "list the characters, or take the sign literally with a backslash"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(pattern: &str) -> bool {
        objection(pattern).is_some()
    }

    #[test]
    fn what_both_engines_read_alike_passes() {
        for pattern in [
            "",
            "a|b",
            "(^|/)\\.env($|[./])",
            "[A-Za-z0-9_]+?",
            "(?:a|b){2,10}",
            "(?P<n>x)",
            "(?s).",
            "é+",
            "[[:alpha:]]",
            "\\x{1F600}",
            "\\x41",
            "[^;]*[^; \t\r\n]",
            "\\Aab\\z",
            "[.()\\[\\]]",
            "(?m)^a$",
        ] {
            assert_eq!(objection(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn what_knows_unicode_in_one_engine_only_is_named() {
        for pattern in [
            "\\w",
            "\\d+",
            "[\\s]",
            "\\W",
            "[^\\D]",
            "\\bword",
            "x\\B",
            "\\pL",
            "\\p{Greek}",
            "[\\p{L}]",
            "(?i)a",
            "(?i:a)",
        ] {
            assert!(objects(pattern), "{pattern}");
        }
        let (message, remedy) = objection("a\\w+").unwrap();
        assert_eq!(
            (message.as_str(), remedy),
            ("`\\w` knows Unicode in one engine and only ASCII in the other", "write [A-Za-z0-9_]")
        );
    }

    #[test]
    fn what_one_engine_lacks_is_named() {
        for pattern in [
            "(?=a)",
            "(?<!a)b",
            "(a)\\1",
            "(?x)a b",
            "(?u)a",
            "(?R)a",
            "\\u0041",
            "\\U00000041",
            "[a&&b]",
            "[a--b]",
            "[a[b]]",
            "\\<word",
            "\\b{start}a",
            "a{,3}",
            "a{2",
            "(",
            "[z-a]",
        ] {
            assert!(objects(pattern), "{pattern}");
        }
    }

    #[test]
    fn repetition_is_bounded_as_re2_bounds_it() {
        assert!(!objects("a{1000}"));
        assert!(objects("a{1001}"));
        assert!(objects("a{1001,}"));
        assert!(!objects("(a{10}){100}"));
        assert!(objects("(a{100}){11}"));
        assert!(!objects("a{900}b{900}"));
    }
}
