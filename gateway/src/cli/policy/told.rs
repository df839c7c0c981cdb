//! How findings, tests and differences are told to people.

use std::io::IsTerminal;

use xagent_policies::{Change, Diff, Finding, TestReport};

use crate::cli::terminal::Paint;

/// All findings: on a terminal each with its line and a caret, elsewhere each on a line of its own.
pub fn findings_told(findings: &[Finding], paint: Paint, on_terminal: bool) -> String {
    let told = findings.iter().map(|finding| match on_terminal {
        true => underlined(finding, paint),
        false => finding.to_string(),
    });
    told.collect::<Vec<_>>().join(if on_terminal { "\n\n" } else { "\n" })
}

/// Whether standard output is read by a person.
pub fn on_terminal() -> bool {
    std::io::stdout().is_terminal()
}

fn underlined(finding: &Finding, paint: Paint) -> String {
    let head = format!("{} {}", paint.bad(&format!("error[{}]:", finding.code)), paint.strong(&finding.message));
    let remedy = format!("{} {}", paint.good("="), finding.remedy);
    let number = finding.line.to_string();
    let margin = " ".repeat(number.len());
    match (finding.path.as_str(), finding.line) {
        ("", _) => format!("{head}\n  {remedy}"),
        (path, 0) => format!("{head}\n --> {path}\n  {remedy}"),
        (path, line) => {
            // Tabs before the caret stay tabs, so that it stands below its place whatever their width.
            let before = finding.source.chars().take(finding.column.saturating_sub(1));
            let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let caret = paint.bad(&"^".repeat(finding.width.max(1)));
            format!(
                "{head}\n{margin}--> {path}:{line}:{}\n{margin} |\n{number} | {}\n{margin} | {indent}{caret}\n{margin} {remedy}",
                finding.column, finding.source
            )
        }
    }
}

/// Which tests failed, and how many lines all of them reach.
pub fn tests_told(report: &TestReport, with_lines: bool, paint: Paint) -> String {
    let mut lines = Vec::new();
    for test in report.tests.iter().filter(|test| !test.passed) {
        lines.push(format!("{} {}  {}: {}", paint.bad("failed"), test.rule, test.path, test.detail));
    }
    let failed = report.tests.len() - report.passed() as usize;
    let (covered, all) = report.lines();
    let verdict = if failed == 0 { paint.good("passed") } else { paint.bad("failed") };
    lines.push(format!(
        "{verdict}  {} tests passed, {failed} failed; {covered} of {all} lines reached ({} %)",
        report.passed(),
        percent(covered, all)
    ));
    if with_lines {
        for (path, module) in &report.coverage {
            let (covered, missed) = (module.covered.len() as u32, module.not_covered.len() as u32);
            let all = covered + missed;
            let missing = ranges(module.not_covered.iter().copied());
            let missing = if missing.is_empty() { String::new() } else { format!("  not reached: {missing}") };
            lines.push(format!("  {:>3} %  {path}{missing}", percent(covered, all)));
        }
    }
    lines.join("\n")
}

/// Whole percent, rounded down, so that 100 means all.
pub fn percent(part: u32, all: u32) -> u32 {
    if all == 0 { 100 } else { u32::try_from(u64::from(part) * 100 / u64::from(all)).unwrap_or(100) }
}

fn ranges(lines: impl Iterator<Item = u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == line => *last = line,
            _ => runs.push((line, line)),
        }
    }
    let shown =
        runs.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    shown.collect::<Vec<_>>().join(", ")
}

/// What changes, rule by rule and value by value.
pub fn diff_told(diff: &Diff, paint: Paint) -> String {
    if diff.is_empty() {
        return "Both are the same.".to_owned();
    }
    let mut lines = Vec::new();
    for module in &diff.modules {
        lines.push(format!("{} {}", word(module.change), paint.strong(&module.path)));
        if module.rules.is_empty() {
            lines.push("  no rule: only comments, imports or space".to_owned());
        }
        for rule in &module.rules {
            lines.push(format!("  {} {}", word(rule.change), rule.rule));
            lines.extend(both(&rule.before, &rule.after, paint));
        }
    }
    for value in &diff.data {
        lines.push(format!("{} {}", word(value.change), paint.strong(&format!("data.json{}", value.pointer))));
        let text = |value: &serde_json::Value| if value.is_null() { String::new() } else { value.to_string() };
        lines.extend(both(&text(&value.before), &text(&value.after), paint));
    }
    lines.join("\n")
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added  ",
        Change::Removed => "removed",
        Change::Changed => "changed",
    }
}

/// The lines that differ; those before and after them that do not are left out.
fn both(before: &str, after: &str, paint: Paint) -> Vec<String> {
    let (was, is): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let start = was.iter().zip(&is).take_while(|(a, b)| a == b).count();
    let rest = was.len().min(is.len()) - start;
    let end = was.iter().rev().zip(is.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let gone = was[start..was.len() - end].iter().map(|line| paint.bad(&format!("    - {line}")));
    let new = is[start..is.len() - end].iter().map(|line| paint.good(&format!("    + {line}")));
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        serde_json::from_value(serde_json::json!({
            "path": "tools.rego", "line": 12, "column": 7, "width": 11, "code": "non_deterministic",
            "message": "`time.now_ns` answers differently from call to call",
            "remedy": "use input.context.now_us", "source": "\tx := time.now_ns()",
        }))
        .unwrap()
    }

    #[test]
    fn on_a_terminal_the_place_is_underlined() {
        let told = findings_told(&[finding()], Paint::plain(), true);
        let expected = "error[non_deterministic]: `time.now_ns` answers differently from call to call\n  \
                        --> tools.rego:12:7\n   |\n12 | \tx := time.now_ns()\n   | \t     ^^^^^^^^^^^\n   \
                        = use input.context.now_us";
        assert_eq!(told, expected);
    }

    #[test]
    fn elsewhere_a_finding_is_one_line() {
        let told = findings_told(&[finding(), finding()], Paint::plain(), false);
        assert_eq!(told.lines().count(), 2);
        assert!(told.starts_with("tools.rego:12:7: `time.now_ns` answers"), "{told}");
    }

    #[test]
    fn only_the_lines_that_differ_are_shown() {
        assert_eq!(both("a\nb\nc", "a\nx\nc", Paint::plain()), ["    - b", "    + x"]);
        assert_eq!(both("a", "a\na", Paint::plain()), ["    + a"]);
        assert_eq!(both("", "1", Paint::plain()), ["    + 1"]);
    }

    #[test]
    fn lines_that_are_not_reached_are_told_as_ranges() {
        assert_eq!(ranges([1, 2, 3, 7, 9, 10].into_iter()), "1-3, 7, 9-10");
        assert_eq!((percent(999, 1000), percent(0, 0)), (99, 100));
    }
}
