//! What a bundle must not write: builtins whose answer changes from call to call or has no bound, `not` before a
//! builtin that can fail, rules that need themselves.

use std::collections::{BTreeMap, BTreeSet};

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// From 1.
    pub line: usize,
    /// What, and what to write instead.
    pub message: String,
}

/// Builtins that OPA's capabilities mark as non-deterministic, and those whose result has no bound, with the remedy.
const FORBIDDEN: [(&str, &str, &str); 12] = [
    ("time.now_ns", "answers differently from call to call", "use input.context.now_us"),
    ("rand.intn", "answers differently from call to call", "use a value of the input"),
    ("uuid.rfc4122", "answers differently from call to call", "use an id of the input"),
    ("http.send", "answers differently from call to call", "put what the policy needs into data or input"),
    ("opa.runtime", "answers differently from call to call", "put what the policy needs into data"),
    ("net.lookup_ip_addr", "answers differently from call to call", "use the addresses of input.resources.urls"),
    (
        "io.jwt.decode_verify",
        "answers differently from call to call",
        "tokens are verified before the policy; use input.principal",
    ),
    ("io.jwt.encode_sign", "answers differently from call to call", "a policy signs nothing"),
    ("io.jwt.encode_sign_raw", "answers differently from call to call", "a policy signs nothing"),
    ("numbers.range", "can fill the memory before any limit is met", "list the numbers in data"),
    ("numbers.range_step", "can fill the memory before any limit is met", "list the numbers in data"),
    ("net.cidr_expand", "can fill the memory before any limit is met", "use net.cidr_contains"),
];

/// Namespaces and names of builtins that can fail: an engine may read their failure as undefined, and `not` of it as true.
const FAILABLE: [&str; 20] = [
    "regex.",
    "net.",
    "json.",
    "yaml.",
    "time.",
    "base64.",
    "base64url.",
    "hex.",
    "urlquery.",
    "glob.",
    "semver.",
    "units.",
    "graph.",
    "io.",
    "crypto.",
    "numbers.",
    "bits.",
    "strings.",
    "to_number",
    "format_int",
];

/// Looks through one module.
pub(crate) fn lint(source: &str) -> Vec<Finding> {
    let tokens = tokens(source);
    let mut findings = Vec::new();
    for (index, (line, token)) in tokens.iter().enumerate() {
        if let Some((name, fault, remedy)) = FORBIDDEN.iter().find(|(name, ..)| name == token) {
            let message = format!("`{name}` {fault}: {remedy}");
            findings.push(Finding { line: *line, message });
        }
        if token == "not" {
            let rest = tokens[index + 1..].iter().take_while(|(at, _)| at == line).map(|(_, word)| word.as_str());
            let words: Vec<_> = rest.collect();
            let called =
                words.windows(2).find(|pair| pair[1] == "(" && FAILABLE.iter().any(|b| pair[0].starts_with(b)));
            if let Some([called, _]) = called {
                let message = format!("`not` is true where `{called}(...)` fails: write `{called}(...) == false`");
                findings.push(Finding { line: *line, message });
            }
        }
    }
    findings
}

/// The rules of a module, each with its line and the paths its definition mentions, resolved to `package.name`.
pub(crate) type Mentions = BTreeMap<String, (usize, BTreeSet<String>)>;

/// Reads which rules a module defines and what they mention. A rule begins with a word at the start of a line.
pub(crate) fn mentions(source: &str) -> Mentions {
    let lines: Vec<_> = source.lines().collect();
    let begins =
        |line: usize| lines.get(line - 1).is_some_and(|text| text.starts_with(|c: char| c.is_ascii_alphabetic()));
    let mut package = String::new();
    let mut imports: BTreeMap<String, String> = BTreeMap::new();
    let mut found = Mentions::new();
    let mut open = (0, String::new());
    let mut words = tokens(source).into_iter().filter(|(_, token)| token != "(").peekable();
    while let Some((line, word)) = words.next() {
        if line == open.0 || !begins(line) {
            if let Some((_, mentioned)) = found.get_mut(&open.1) {
                mentioned.insert(word);
            }
            continue;
        }
        open = (line, String::new());
        let next = words.peek().map(|(_, next)| next.clone()).unwrap_or_default();
        match word.as_str() {
            "package" => package = next,
            "import" => {
                let path = next.trim_start_matches("data.").to_owned();
                let alias = path.rsplit('.').next().unwrap_or_default().to_owned();
                imports.insert(alias, path);
            }
            "else" => open = (line, found.keys().next_back().cloned().unwrap_or_default()),
            _ => {
                let name = if word == "default" { words.next().map_or(next, |(_, name)| name) } else { word };
                let name = format!("{package}.{}", name.split('.').next().unwrap_or_default());
                found.entry(name.clone()).or_insert((line, BTreeSet::new()));
                open = (line, name);
            }
        }
    }
    let resolve = |word: &str| {
        let (first, rest) = word.split_once('.').unwrap_or((word, ""));
        match imports.get(first) {
            Some(path) => format!("{path}.{rest}"),
            None if first == "data" => rest.to_owned(),
            None => format!("{package}.{word}"),
        }
    };
    let resolved = |words: BTreeSet<String>| words.iter().map(|word| resolve(word)).collect();
    found.into_iter().map(|(rule, (line, words))| (rule, (line, resolved(words)))).collect()
}

/// A rule that needs itself, directly or through others: the interpreter would follow it until its stack ends.
pub(crate) fn recursion(rules: &Mentions) -> Option<(String, usize)> {
    let callees = |rule: &str| -> Vec<&String> {
        let mentioned = rules.get(rule).map(|(_, mentioned)| mentioned).into_iter().flatten();
        let defined = |path: &String| rules.keys().find(|rule| path == *rule || path.starts_with(&format!("{rule}.")));
        mentioned.filter_map(defined).collect()
    };
    rules.iter().find_map(|(rule, (line, _))| {
        let (mut seen, mut open) = (BTreeSet::new(), callees(rule));
        while let Some(next) = open.pop() {
            if next == rule {
                return Some((rule.clone(), *line));
            }
            if seen.insert(next) {
                open.extend(callees(next));
            }
        }
        None
    })
}

/// Words (with dots) and opening parentheses outside comments and strings, each with its line.
fn tokens(source: &str) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = source.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => line += 1,
            '#' => while rest.next_if(|c| *c != '\n').is_some() {},
            '`' => {
                for c in rest.by_ref() {
                    line += usize::from(c == '\n');
                    if c == '`' {
                        break;
                    }
                }
            }
            '"' => {
                while let Some(c) = rest.next() {
                    match c {
                        '\\' => drop(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '(' => tokens.push((line, "(".to_owned())),
            c if c.is_ascii_alphabetic() || c == '_' => {
                let mut word = String::from(c);
                while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')) {
                    word.push(c);
                }
                tokens.push((line, word));
            }
            _ => {}
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &str) -> Vec<usize> {
        lint(source).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn what_changes_from_call_to_call_is_found_where_it_stands() {
        assert_eq!(lines("package a\n\nx := time.now_ns()\ny := http.send({})\n"), [3, 4]);
        assert_eq!(lines("# time.now_ns()\nx := \"http.send \\\" time.now_ns\"\ny := `rand.intn\n`\n"), [0; 0]);
    }

    #[test]
    fn a_rule_that_needs_itself_is_found() {
        let of = |source: &str| recursion(&mentions(source)).map(|(rule, _)| rule);
        assert_eq!(of("package a\nf(x) := f(x + 1)\n"), Some("a.f".to_owned()));
        assert_eq!(of("package a\nimport data.a as b\nx if {\n  y\n}\ny := 1 if data.a.x\n"), Some("a.x".to_owned()));
        assert_eq!(of("package a\nimport data.b\nx if b.x\ny if x\n# x\nz := \"z\"\n"), None);
    }

    #[test]
    fn a_negated_builtin_that_can_fail_is_found() {
        assert_eq!(lines("a if not regex.match(`x`, input.y)\nb if {\n  not net.cidr_contains(x, y)\n}"), [1, 3]);
        assert_eq!(lines("a if not f(to_number(input.x))"), [1]);
        assert_eq!(lines("a if not ok(input.y)\nb if regex.match(`x`, y) == false\nc if not input.regex.x"), [0; 0]);
    }
}
