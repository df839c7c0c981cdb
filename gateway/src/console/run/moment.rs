//! A run at a point: which event, what it changed, how the run stood then; and the way to any other point.

use maud::{Markup, html};
use xagent_domain::run::Run;
use xagent_domain::{Recorded, RunId};
use xagent_replay::Change;

use super::super::parts::{Tone, block, facts, fold, json, mark, signed, status, value};
use super::super::runs::address;
use super::at;
use super::words::{Fact, Names, told};

/// Changes shown at most.
const MOST: usize = 100;

/// A point of a run.
pub struct Point<'a> {
    pub run: RunId,
    pub at: u64,
    pub last: u64,
    pub state: &'a Run,
    pub changes: Vec<Change>,
}

/// The panel.
pub fn shown(point: &Point<'_>, names: &Names, fact: Option<&Fact<'_>>, apart: Option<&str>) -> Markup {
    html! {
        div.card.moment #moment data-live {
            h2 #moment-title { "Event " (point.at) " of " (point.last) }
            (slider(point))
            @if let Some((event, said)) = fact { (this(event, said, names)) }
            @if let Some(text) = apart { (fold("apart", "The text kept apart from it", json(text))) }
            h3 { "What it changed" }
            (changes(&point.changes))
            h3 { "The run at this point" }
            (state(point.state))
        }
    }
}

fn slider(point: &Point<'_>) -> Markup {
    let Point { run, at: now, last, .. } = *point;
    html! {
        form.slider method="get" action=(address(run)) data-slider {
            label for="at" { "Through time" }
            input #at type="range" name="at" min="1" max=(last) value=(now) aria-valuetext=(format!("event {now} of {last}"));
            button type="submit" { "Go" }
        }
        nav.steps aria-label="Through time" {
            (step(run, (now > 1).then_some(1), "first", "⇤ First"))
            (step(run, (now > 1).then(|| now - 1), "previous", "← Before"))
            (step(run, (now < last).then_some(now + 1), "next", "Next →"))
            (step(run, (now < last).then_some(last), "last", "Last ⇥"))
        }
    }
}

fn step(run: RunId, to: Option<u64>, key: &str, words: &str) -> Markup {
    html! {
        @match to {
            Some(to) => a.button data-step data-key=(key) href={ (at(run, to)) "#moment" } { (words) },
            None => span.button.off { (words) },
        }
    }
}

/// The event itself, in words.
fn this(event: &Recorded, said: &xagent_domain::run::RunEvent, names: &Names) -> Markup {
    let told = told(said, names);
    html! {
        p.this { (mark(told.tone, told.kind)) " " (told.title) }
        p.soft { a href={ "#e" (event.sequence) } { "In the timeline" } " · " a href={ "/console/ledger?position=" (event.position) "#proof" } { "Prove it" } }
    }
}

fn changes(changes: &[Change]) -> Markup {
    html! {
        @if changes.is_empty() { p.soft { "Nothing of the state." } }
        ul.changes {
            @for change in changes.iter().take(MOST) {
                @match change {
                    Change::Add { path, value: added } => li { (signed(Tone::Good, "+", "added")) " " code { (path) } " " (value(added)) },
                    Change::Remove { path, was } => li { (signed(Tone::Bad, "−", "removed")) " " code { (path) } " " (value(was)) },
                    Change::Replace { path, was, value: now } => li {
                        (signed(Tone::Runs, "→", "changed")) " " code { (path) }
                        div { span.soft { "from " } (value(was)) } div { span.soft { "to " } (value(now)) }
                    },
                }
            }
        }
        @if changes.len() > MOST { p.soft { "and " (changes.len() - MOST) " more: the API has all of them." } }
    }
}

fn state(run: &Run) -> Markup {
    let whole = serde_json::to_string(run).unwrap_or_default();
    let open: Vec<_> = run.open_calls().take(20).collect();
    html! {
        (facts([
            ("Status", status(run.status().as_str())),
            ("Calls decided", html! { (run.tally().total) ", " (run.tally().denied) " denied" }),
            ("Plans", html! { (run.steps()) }),
            ("Read untrusted", html! { (if run.tainted() { "yes" } else { "no" }) }),
        ]))
        @if !run.goals().is_empty() {
            h4 { "Goals" }
            ul.plain { @for goal in run.goals() { li { (status(goal_status(goal.status))) " " (goal.text) } } }
        }
        @if !open.is_empty() {
            h4 { "Open calls" }
            ul.plain { @for call in open { li { code { (call.label) } " of " code { (call.tool.name) } " " (status(&wire(&call.status))) } } }
        }
        (fold("state", "The whole state", if whole.len() > 200_000 { block(&whole) } else { json(&whole) }))
    }
}

const fn goal_status(status: xagent_domain::run::GoalStatus) -> &'static str {
    match status {
        xagent_domain::run::GoalStatus::Open => "open",
        xagent_domain::run::GoalStatus::Achieved => "achieved",
        xagent_domain::run::GoalStatus::Failed => "failed",
    }
}

/// As it is written everywhere.
fn wire(status: &impl serde::Serialize) -> String {
    serde_json::to_value(status).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
