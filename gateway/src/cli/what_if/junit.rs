//! The findings as JUnit XML, as CI servers read it: one case per kind of finding, failed where it stops the change.

use std::fmt::Write;

use xagent_replay::whatif::Class;

use super::summary::Summary;

pub fn page(summary: &Summary<'_>) -> String {
    let tally = summary.tally;
    let classes = Class::ALL.into_iter().map(|class| (class.name(), tally.of(class), class.told()));
    let more = [
        ("engine", tally.engines.changed, "made otherwise by today's engine with the bundle that made them"),
        ("undecided", tally.undecided.count, "could not be made again"),
    ];
    let (mut cases, mut failures) = (String::new(), 0);
    for (name, count, told) in classes.chain(more) {
        let stops = summary.stopped_by.iter().any(|(stopped, _)| *stopped == name);
        failures += u32::from(stops);
        let case = case(name, count, told, stops, &details(summary, name));
        cases.push_str(&case);
    }
    let (seconds, tests) = (summary.pace.seconds, Class::ALL.len() + more.len());
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"xagent what-if {}\" tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.3}\">\n{cases}</testsuite>\n</testsuites>\n",
        escaped(&summary.bundle)
    )
}

fn case(name: &str, count: u64, told: &str, stops: bool, details: &str) -> String {
    let head = format!("<testcase classname=\"what-if\" name=\"{name}\"");
    if count == 0 {
        return format!("{head}/>\n");
    }
    let message = escaped(&format!("{count} decisions: {told}"));
    match stops {
        true => format!("{head}><failure message=\"{message}\" type=\"{name}\">{details}</failure></testcase>\n"),
        false => format!("{head}><system-out>{message}\n{details}</system-out></testcase>\n"),
    }
}

fn details(summary: &Summary<'_>, name: &str) -> String {
    let mut lines = String::new();
    for example in summary.tally.examples.iter().filter(|example| example.class.name() == name) {
        let (position, before, after) = (example.position, &example.before, &example.after);
        let line = format!("position {position}, {}: before {before}, after {after}", example.about);
        // Writing to a String does not fail.
        let _written = writeln!(lines, "{}", escaped(&line));
    }
    lines
}

/// XML 1.0 section 2.4; characters that no XML document holds are left out (section 2.2).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_says_cannot_end_an_element() {
        assert_eq!(escaped("a]]></failure>\"\u{0}\u{1b}&é"), "a]]&gt;&lt;/failure&gt;&quot;&amp;é");
    }
}
