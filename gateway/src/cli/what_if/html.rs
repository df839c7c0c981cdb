//! The report as one HTML page: no script, nothing from outside, light and dark.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use xagent_replay::whatif::{Class, Example, Group};

use super::summary::Summary;
use super::text::ordered;

const STYLE: &str = include_str!("style.css");
/// Rows of a table at most.
const ROWS: usize = 100;

pub fn page(summary: &Summary<'_>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "What if " (summary.named) " had decided" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "What if " code { (summary.named) } " had decided" }
                    (body(summary))
                }
            }
        }
    };
    page.into_string()
}

/// The report without a page around it.
pub fn body(summary: &Summary<'_>) -> Markup {
    let tally = summary.tally;
    html! {
        (verdict(summary))
        (facts(summary))
        (classes(summary))
        @for (title, group) in [
            ("By rule", &tally.groups.rules), ("By tool", &tally.groups.tools),
            ("By agent", &tally.groups.agents), ("By principal", &tally.groups.principals),
        ] { (grouped(title, group)) }
        (divergences(summary))
        @if !tally.examples.is_empty() { h2 { "Examples" } }
        @for example in summary.examples() { (shown(example)) }
        (engines(summary))
        (undecided(summary))
        (coverage(summary))
    }
}

fn verdict(summary: &Summary<'_>) -> Markup {
    let by: Vec<_> = summary.stopped_by.iter().map(|(name, count)| format!("{name} {count}")).collect();
    html! {
        @if !by.is_empty() { p.verdict.bad { "Failed: " (by.join(", ")) } }
        @else if summary.gated { p.verdict.good { "Passed: nothing that --fail-on names was found." } }
    }
}

fn facts(summary: &Summary<'_>) -> Markup {
    let tally = summary.tally;
    html! {
        dl {
            dt { "Bundle" } dd { code { (summary.bundle) } }
            dt { "History" }
            dd {
                "positions " (summary.range.after + 1) " to " (summary.range.to)
                @for (name, value) in &summary.asked { ", " (name) " " code { (value) } }
            }
            dt { "Decided again" } dd { (tally.decided) " decisions of " (summary.bundles_told()) }
            dt { "Engine" } dd { (summary.engine_told()) }
            dt { "Policy" } dd { strong { (tally.changes()) } " of " (tally.decided) " decisions change" }
        }
    }
}

fn classes(summary: &Summary<'_>) -> Markup {
    html! {
        @if summary.tally.changes() > 0 {
            h2 { "Changes" }
            table {
                thead { tr { th scope="col" { "Change" } th.number scope="col" { "Decisions" } th.number scope="col" { "First in their run" } th scope="col" { "Meaning" } } }
                tbody {
                    @for (class, counts) in summary.classes() {
                        tr {
                            td { (mark(class)) }
                            td.number { (counts.decisions) }
                            td.number { (counts.first) }
                            td { (class.told()) }
                        }
                    }
                }
            }
        }
    }
}

fn mark(class: Class) -> Markup {
    let kind = match class {
        Class::DenyToAllow | Class::ApprovalToAllow => "mark bad",
        Class::Reasons => "mark",
        Class::DenyToApproval | Class::AllowToDeny | Class::AllowToApproval | Class::ApprovalToDeny => "mark notable",
    };
    html! { span class=(kind) { (class.name()) } }
}

fn grouped(title: &str, group: &BTreeMap<String, Group>) -> Markup {
    let ordered = ordered(group);
    html! {
        @if !ordered.is_empty() {
            h2 { (title) }
            table {
                tbody {
                    @for (name, classes) in ordered.iter().take(ROWS) {
                        tr {
                            td { code { (name) } }
                            td { @for (class, count) in *classes { (mark(*class)) " " (count) " " } }
                        }
                    }
                }
            }
            @if ordered.len() > ROWS { p { "and " (ordered.len() - ROWS) " more" } }
        }
    }
}

fn divergences(summary: &Summary<'_>) -> Markup {
    let tally = summary.tally;
    html! {
        @if tally.diverged_runs > 0 {
            h2 { (tally.diverged_runs) " runs would have gone another way" }
            p { "What is after the first divergence of a run is counterfactual." }
            table {
                thead { tr { th scope="col" { "Run" } th.number scope="col" { "Sequence" } th.number scope="col" { "Position" } th scope="col" { "Change" } th scope="col" { "About" } } }
                tbody {
                    @for first in &tally.divergences {
                        tr {
                            td { code { (first.run) } }
                            td.number { (first.sequence) }
                            td.number { (first.position) }
                            td { (mark(first.class)) }
                            td { (first.about) }
                        }
                    }
                }
            }
        }
    }
}

fn shown(example: &Example) -> Markup {
    html! {
        details {
            summary {
                (mark(example.class)) " " (example.about) ", asked by " (example.principal)
                @if let Some(agent) = &example.agent { ", agent " (agent) }
            }
            p { code { (example.decision) } ", position " (example.position) ", " code { (example.stream) } }
            h3 { "Before" } pre { (format!("{:#}", example.before)) }
            h3 { "After" } pre { (format!("{:#}", example.after)) }
            h3 { "Input" } pre { (format!("{:#}", example.input)) }
        }
    }
}

fn engines(summary: &Summary<'_>) -> Markup {
    let engines = &summary.tally.engines;
    html! {
        @if engines.changed > 0 {
            h2 { "Changed by the engine alone" }
            table {
                thead { tr { th scope="col" { "Recorded by" } th.number scope="col" { "Decisions" } th.number scope="col" { "Otherwise today" } } }
                tbody {
                    @for (name, reached) in &engines.by_engine {
                        tr { td { (name) } td.number { (reached.decisions) } td.number { (reached.changed) } }
                    }
                }
            }
        }
    }
}

fn undecided(summary: &Summary<'_>) -> Markup {
    let undecided = &summary.tally.undecided;
    html! {
        @if undecided.count > 0 {
            h2 { (undecided.count) " decisions could not be made again" }
            ul { @for one in &undecided.examples { li { "position " (one.position) ": " (one.why.told()) } } }
        }
    }
}

fn coverage(summary: &Summary<'_>) -> Markup {
    html! {
        @if !summary.unreached.is_empty() {
            h2 { "Never exercised" }
            p { "Rules that none of " (summary.tally.covering) " decisions looked at evaluates." }
            table {
                tbody {
                    @for rule in summary.unreached.iter().take(ROWS) {
                        tr { td { (rule.path) ":" (rule.line) } td { code { (rule.rule) } } }
                    }
                }
            }
        }
    }
}
