//! `/console/what-if`: what history came to under other bundles, as it was recorded for changes of the law to cite.

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;
use xagent_domain::governed::Refusal;

use super::layout::{self, Here};
use super::parts::{beginning, count, facts, heading, moment_us, nothing};
use crate::cli::recorded_what_if;
use crate::problem::Problem;
use crate::rest::Doors;
use crate::rest::extract::{Calling, Id, Natural, Parameters};
use crate::rest::replays::{KeptReplay, after};

const PATH: &str = "/console/what-if";
/// Reports on a page.
const PAGE: u32 = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The sequence after which to begin.
    #[serde(default)]
    after: Natural,
}

/// The list.
pub async fn list(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(asked): Parameters<Asked>,
) -> Result<Html<String>, Problem> {
    let kept = after(&doors, &calling, asked.after.0, PAGE).await?;
    let body = html! {
        (heading("What-if", "What history would have come to under another bundle, where the report was recorded. The first one first."))
        div.card {
            table.rows {
                caption.hidden { "What-if reports" }
                thead { tr {
                    th scope="col" { "Bundle" } th.number scope="col" { "Decided again" } th scope="col" { "Changes" }
                    th scope="col" { "By" } th scope="col" { "Recorded (UTC)" }
                } }
                tbody { @for replay in &kept.items { (line(replay)) } }
            }
            @if kept.items.is_empty() { (nothing("None is recorded. Make one: xagent what-if --bundle FOLDER --record")) }
        }
        nav.pages aria-label="Pages" {
            @if asked.after.0 > 0 { a.button data-key="previous" href=(PATH) { "First page" } }
            @if let Some(next) = kept.next_after { a.button data-key="next" href={ (PATH) "?after=" (next) } { "Next page" } }
        }
    };
    Ok(Html(layout::page("What-if", Here::WhatIf, Some(&calling.caller.principal), body).into_string()))
}

fn line(replay: &KeptReplay) -> Markup {
    html! {
        tr {
            th scope="row" { a.id href={ (PATH) "/" (replay.sequence) } { (beginning(&replay.bundle.to_string(), 24)) } }
            td.number data-label="Decided again" { (replay.decided) }
            td data-label="Changes" {
                @for (class, number) in &replay.changes { div { code { (class) } " " (number) } }
                @if replay.changes.is_empty() { "none" }
            }
            td data-label="By" { (replay.recorded_by) }
            td data-label="Recorded" { (moment_us(replay.recorded_at_us)) }
        }
    }
}

/// The page of a report.
pub async fn page(
    State(doors): State<Doors>,
    calling: Calling,
    Id(sequence): Id<u64>,
) -> Result<Html<String>, Problem> {
    let kept = after(&doors, &calling, sequence.saturating_sub(1), 1).await?;
    let found = kept.items.into_iter().find(|replay| replay.sequence == sequence);
    let none = || calling.problem(Refusal::NotFound { what: "what-if report", id: sequence.to_string() });
    let replay = found.ok_or_else(none)?;
    let report = replay.report.as_ref().and_then(recorded_what_if);
    let body = html! {
        div.heading {
            p.crumb { a href=(PATH) { "What-if" } " / " span { (sequence) } }
            h1 { "What if this bundle had decided" }
            (record(&replay))
        }
        div.card.report {
            @match report {
                Some(report) => (report),
                None => (nothing("The report itself is not here any more, or of a form that this version cannot show.")),
            }
        }
    };
    Ok(Html(layout::page("What-if report", Here::WhatIf, Some(&calling.caller.principal), body).into_string()))
}

fn record(replay: &KeptReplay) -> Markup {
    facts([
        ("Bundle", html! { code { (beginning(&replay.bundle.to_string(), 16)) } }),
        (
            "Decided again",
            html! { (count(replay.decided, "decision", "decisions")) ", " (replay.undecided) " could not be" },
        ),
        ("Recorded (UTC)", html! { (moment_us(replay.recorded_at_us)) " by " (replay.recorded_by) }),
        (
            "Position",
            html! { a href={ "/console/ledger?position=" (replay.position) "#proof" } { (replay.position) ": prove it" } },
        ),
    ])
}
