//! What a bundle must not write: builtins whose answer changes from call to call, and `not` before one that can fail.

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// From 1.
    pub line: usize,
    /// What, and what to write instead.
    pub message: String,
}

/// Builtins that OPA's capabilities mark as non-deterministic, with the remedy.
const NON_DETERMINISTIC: [(&str, &str); 9] = [
    ("time.now_ns", "use input.context.now_us"),
    ("rand.intn", "use a value of the input"),
    ("uuid.rfc4122", "use an id of the input"),
    ("http.send", "put what the policy needs into data or input"),
    ("opa.runtime", "put what the policy needs into data"),
    ("net.lookup_ip_addr", "use the addresses of input.resources.urls"),
    ("io.jwt.decode_verify", "tokens are verified before the policy; use input.principal"),
    ("io.jwt.encode_sign", "a policy signs nothing"),
    ("io.jwt.encode_sign_raw", "a policy signs nothing"),
];

/// Namespaces and names of builtins that can fail: an engine may read their failure as undefined, and `not` of it as true.
const FAILABLE: [&str; 20] = [
    "regex.", "net.", "json.", "yaml.", "time.", "base64.", "base64url.", "hex.", "urlquery.", "glob.", "semver.",
    "units.", "graph.", "io.", "crypto.", "numbers.", "bits.", "strings.", "to_number", "format_int",
];

/// Looks through one module.
pub(crate) fn lint(source: &str) -> Vec<Finding> {
    let tokens = tokens(source);
    let mut findings = Vec::new();
    for (index, (line, token)) in tokens.iter().enumerate() {
        if let Some((name, remedy)) = NON_DETERMINISTIC.iter().find(|(name, _)| name == token) {
            let message = format!("`{name}` answers differently from call to call: {remedy}");
            findings.push(Finding { line: *line, message });
        }
        let negated = token == "not" && tokens.get(index + 2).is_some_and(|(_, next)| next == "(");
        let called = tokens.get(index + 1).filter(|_| negated);
        if let Some((_, called)) = called.filter(|(_, name)| FAILABLE.iter().any(|start| name.starts_with(start))) {
            let message = format!("`not {called}(...)` is true where `{called}` fails: write `{called}(...) == false`");
            findings.push(Finding { line: *line, message });
        }
    }
    findings
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
    fn a_negated_builtin_that_can_fail_is_found() {
        assert_eq!(lines("a if not regex.match(`x`, input.y)\nb if {\n  not net.cidr_contains(x, y)\n}"), [1, 3]);
        assert_eq!(lines("a if not ok(input.y)\nb if regex.match(`x`, y) == false\nc if not input.regex.x"), [0; 0]);
    }
}
