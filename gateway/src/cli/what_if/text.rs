//! The report for people, in a terminal.

use std::collections::BTreeMap;

use serde_json::Value;
use xagent_replay::whatif::{Class, Example, Group};

use super::summary::Summary;
use crate::cli::terminal::Paint;

/// Names of a group, runs and rules that are shown at most.
const SHOWN: usize = 10;
/// Characters of a document that are shown at most.
const LONGEST: usize = 600;

pub fn told(summary: &Summary<'_>, paint: Paint) -> String {
    let mut lines = head(summary, paint);
    lines.extend(classes(summary, paint));
    let groups = &summary.tally.groups;
    for (name, group) in [
        ("By rule", &groups.rules),
        ("By tool", &groups.tools),
        ("By agent", &groups.agents),
        ("By principal", &groups.principals),
    ] {
        lines.extend(grouped(name, group, paint));
    }
    lines.extend(divergences(summary, paint));
    lines.extend(summary.examples().into_iter().flat_map(|example| shown(example, paint)));
    lines.extend(engine_changes(summary, paint));
    lines.extend(undecided(summary, paint));
    lines.extend(coverage(summary, paint));
    lines.push(String::new());
    lines.push(format!("{:.0} decisions/s", summary.pace.decisions_per_second));
    lines.extend(stopped(summary, paint));
    lines.join("\n")
}

fn head(summary: &Summary<'_>, paint: Paint) -> Vec<String> {
    let tally = summary.tally;
    let only: Vec<_> = summary.asked.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
    let bundles = summary.bundles_told();
    let left_out = if tally.left_out > 0 { format!(", {} others left out", tally.left_out) } else { String::new() };
    let (first, to) = (summary.range.after + 1, summary.range.to);
    vec![
        paint.strong(&format!("What if {} had decided", summary.named)),
        format!("  bundle    {}", summary.bundle),
        format!("  history   positions {first} to {to} ({})", only.join(", ")),
        format!("  decided   {} decisions of {bundles}{left_out}", tally.decided),
        format!("  engine    {}", summary.engine_told()),
        format!("  policy    {} of {} decisions change", tally.changes(), tally.decided),
    ]
}

fn classes(summary: &Summary<'_>, paint: Paint) -> Vec<String> {
    let lines = summary.classes().map(|(class, counts)| {
        let name = painted(class, &format!("{:<18}", class.name()), paint);
        let after = counts.decisions - counts.first;
        let after = if after > 0 { format!(" ({after} after their run had diverged)") } else { String::new() };
        format!("  {name} {:>8}  {}{after}", counts.decisions, class.told())
    });
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() { lines } else { std::iter::once(String::new()).chain(lines).collect() }
}

fn painted(class: Class, text: &str, paint: Paint) -> String {
    match class {
        Class::DenyToAllow | Class::ApprovalToAllow => paint.bad(text),
        Class::DenyToApproval | Class::AllowToDeny | Class::AllowToApproval | Class::ApprovalToDeny => {
            paint.notable(text)
        }
        Class::Reasons => text.to_owned(),
    }
}

/// The names with the most changes first.
fn grouped(title: &str, group: &BTreeMap<String, Group>, paint: Paint) -> Vec<String> {
    if group.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), paint.strong(title)];
    let ordered = ordered(group);
    for (name, classes) in ordered.iter().take(SHOWN) {
        let classes: Vec<_> = classes.iter().map(|(class, count)| format!("{} {count}", class.name())).collect();
        lines.push(format!("  {name:<30} {}", classes.join(", ")));
    }
    lines.extend(more(ordered.len()));
    lines
}

/// The names of a group, those with the most changes first.
pub fn ordered(group: &BTreeMap<String, Group>) -> Vec<(&String, &Group)> {
    let mut ordered: Vec<_> = group.iter().collect();
    let total = |classes: &Group| classes.values().sum::<u64>();
    ordered.sort_by(|(a, these), (b, those)| total(those).cmp(&total(these)).then_with(|| a.cmp(b)));
    ordered
}

fn more(count: usize) -> Option<String> {
    (count > SHOWN).then(|| format!("  and {} more; --json has all of them", count - SHOWN))
}

fn divergences(summary: &Summary<'_>, paint: Paint) -> Vec<String> {
    let (runs, tally) = (summary.tally.diverged_runs, summary.tally);
    if runs == 0 {
        return Vec::new();
    }
    let title = format!("{runs} runs would have gone another way; what is after that in them is counterfactual");
    let mut lines = vec![String::new(), paint.strong(&title)];
    for first in tally.divergences.iter().take(SHOWN) {
        let (run, sequence, position) = (&first.run, first.sequence, first.position);
        let (class, about) = (first.class.name(), &first.about);
        lines.push(format!("  {run}  at sequence {sequence} (position {position}): {class}, {about}"));
    }
    lines.extend(more(usize::try_from(runs).unwrap_or(usize::MAX)));
    lines
}

fn shown(example: &Example, paint: Paint) -> Vec<String> {
    let agent = example.agent.as_ref().map(|agent| format!(", agent {agent}")).unwrap_or_default();
    let class = painted(example.class, example.class.name(), paint);
    vec![
        String::new(),
        format!("{class}: {}, asked by {}{agent}", example.about, example.principal),
        format!("  decision  {} (position {}, {})", example.decision, example.position, example.stream),
        format!("  before    {}", short(&example.before)),
        format!("  after     {}", short(&example.after)),
        format!("  input     {}", short(&example.input)),
    ]
}

/// As much of a document as a reader of lines takes in.
fn short(document: &Value) -> String {
    let text = document.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}... (--json or --html has all of it)", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}

fn engine_changes(summary: &Summary<'_>, paint: Paint) -> Vec<String> {
    let engines = &summary.tally.engines;
    if engines.changed == 0 {
        return Vec::new();
    }
    let mut lines = vec![String::new(), paint.strong("Changed by the engine alone")];
    for reached in engines.by_engine.values().filter(|reached| reached.changed > 0) {
        let name = super::summary::engine(&reached.engine);
        lines.push(format!("  {name}: {} of {} decisions", reached.changed, reached.decisions));
    }
    for change in engines.examples.iter().take(SHOWN) {
        let class = change.class.name();
        lines.push(format!("  {}  position {}: {class}", change.decision, change.position));
    }
    if engines.unexplained > 0 {
        let count = engines.unexplained;
        lines.push(format!("  {count} were recorded by the very engine of today: run `xagent replay` on their runs"));
    }
    lines
}

fn undecided(summary: &Summary<'_>, paint: Paint) -> Vec<String> {
    let undecided = &summary.tally.undecided;
    if undecided.count == 0 {
        return Vec::new();
    }
    let title = format!("{} decisions could not be made again", undecided.count);
    let mut lines = vec![String::new(), paint.bad(&title)];
    for one in undecided.examples.iter().take(SHOWN) {
        lines.push(format!("  position {}: {} ({})", one.position, one.why.told(), one.detail));
    }
    lines
}

fn coverage(summary: &Summary<'_>, paint: Paint) -> Vec<String> {
    let (asked, decided) = (summary.tally.covering, summary.tally.decided);
    if asked == 0 {
        return Vec::new();
    }
    let of = if asked == decided { format!("all {asked}") } else { format!("{asked} of the {decided}") };
    let count = summary.unreached.len();
    if count == 0 {
        return vec![String::new(), format!("{of} decisions looked at reach every rule of the bundle")];
    }
    let mut lines = vec![String::new(), paint.strong(&format!("Never exercised by {of} decisions: {count} rules"))];
    for rule in summary.unreached.iter().take(SHOWN) {
        lines.push(format!("  {}:{}  {}", rule.path, rule.line, rule.rule));
    }
    lines.extend(more(count));
    lines
}

fn stopped(summary: &Summary<'_>, paint: Paint) -> Vec<String> {
    match (summary.stopped_by.is_empty(), summary.gated) {
        (true, false) => Vec::new(),
        (true, true) => vec![format!("{}: nothing that --fail-on names", paint.good("passed"))],
        (false, _) => {
            let by: Vec<_> = summary.stopped_by.iter().map(|(name, count)| format!("{name} {count}")).collect();
            vec![format!("{}: {}", paint.bad("failed"), by.join(", "))]
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
