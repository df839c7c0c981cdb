//! `/console/runs/{run}`: one run, its timeline, and any point of it.

mod moment;
mod timeline;
mod words;

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;
use xagent_domain::RunId;
use xagent_domain::run::{ApprovalState, Run};

use super::approvals::answer_forms;
use super::layout::{self, Here};
use super::parts::{beginning, bytes, content, count, facts, fold, moment_us, prose, status};
use super::runs::address;
use crate::problem::Problem;
use crate::recordings;
use crate::rest::extract::{Calling, Id, Natural, Parameters};
use crate::rest::runs::{ShownRun, as_of};
use crate::rest::{Doors, list, timeline as through_time};
use moment::Point;
use words::Names;

/// Events on a page.
const PAGE: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The run as of this sequence.
    at: Option<Natural>,
}

/// The page of a run.
pub async fn page(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Html<String>, Problem> {
    let now = as_of(&doors, &calling, run, u64::MAX).await?;
    let at = asked.at.map_or(now.sequence, |at| at.0.clamp(1, now.sequence));
    let begin = (at - 1) / u64::from(PAGE) * u64::from(PAGE);
    let (events, _) = list::recorded(&doors, &calling, "read.events", run, (begin, PAGE)).await?;
    let facts = words::read(&events).map_err(|problem| calling.problem(problem))?;
    let then = if at == now.sequence { None } else { Some(as_of(&doors, &calling, run, at).await?) };
    let changes = through_time::between(&doors, &calling, run, at - 1, at).await?.changes;
    let names = Names::of(&now.state, &facts);
    let fact = facts.iter().find(|fact| fact.0.sequence == at);
    let apart = match fact.and_then(|fact| words::apart(&fact.1)) {
        Some(content) => recordings::blob(doors.commands.ledger(), &content.digest).await,
        None => Ok(None),
    };
    let apart = apart.map_err(|error| calling.problem(error))?;
    let point =
        Point { run, at, last: now.sequence, state: then.as_ref().map_or(&now.state, |then| &then.state), changes };
    let last = events.last().map_or(0, |event| event.position);
    let goal = beginning(now.state.goal_text(), 200);
    let title = if goal.is_empty() { run.to_string() } else { goal };
    let body = html! {
        (head(&now, &title))
        (waiting(&now.state))
        (following(run, &now.state, last))
        div.run {
            section aria-labelledby="timeline-title" { (timeline::shown(run, &facts, &names, &point)) }
            aside aria-labelledby="moment-title" { (moment::shown(&point, &names, fact, apart.as_deref())) }
        }
    };
    Ok(Html(layout::page(&title, Here::Runs, Some(&calling.caller.principal), body).into_string()))
}

fn head(run: &ShownRun, title: &str) -> Markup {
    let state = &run.state;
    html! {
        div.heading #run-head data-live {
            p.crumb { a href="/console/runs" { "Runs" } " / " span.id { (run.run) } }
            h1 { (title) }
            p { (status(state.status().as_str())) " " (state.summary()) }
            @if state.goal_text().chars().count() > 200 { (fold("goal", "The whole goal", html! { pre { (state.goal_text()) } })) }
            (totals(run))
        }
    }
}

fn totals(run: &ShownRun) -> Markup {
    let (state, spent) = (&run.state, run.state.spent());
    let denied = state.tally().denied;
    let money = Some(spent.money_micros).filter(|micros| *micros != 0);
    let money =
        money.map(|micros| ("Money", html! { (micros / 1_000_000) "." (format!("{:06}", micros % 1_000_000)) }));
    let tokens = Some(spent.tokens).filter(|tokens| *tokens > 0).map(|tokens| ("Tokens", html! { (tokens) }));
    let fork = state.planner().map(xagent_domain::run::PlannerSpec::name).unwrap_or_default();
    facts(
        [
            Some(("Agent", html! { (state.agent()) })),
            Some(("For", html! { (state.principal_id()) })),
            Some(("Planner", html! { (fork) })),
            Some((
                "Tool calls",
                html! { (state.tally().total) @if denied > 0 { ", " span.bad { (denied) " denied" } } },
            )),
            tokens,
            money,
            Some(("Data", html! { (bytes(spent.bytes)) })),
            state.started_us().map(|at| ("Started (UTC)", moment_us(at))),
            Some(("Events", html! { (run.sequence) })),
        ]
        .into_iter()
        .flatten(),
    )
}

/// The approvals that the run waits for, to be answered here.
fn waiting(state: &Run) -> Markup {
    let waits = state.approvals().filter(|(_, approval)| approval.state == ApprovalState::Waiting);
    let waits: Vec<_> = waits.filter(|_| !state.status().has_ended()).collect();
    html! {
        section #waiting data-live aria-label="Approvals" {
            @for (id, approval) in &waits {
                div.notice.waits {
                    @if let Some(call) = state.call(&approval.call) {
                        p { strong { "The call " code { (call.label) } " of " code { (call.tool.name) } " waits for a person." } " " (prose(&approval.reason)) }
                        (fold(&format!("waiting-{id}"), "What it would be called with", content(&call.arguments)))
                    } @else { p { strong { "A call waits for a person." } " " (prose(&approval.reason)) } }
                    (answer_forms(**id, "run"))
                }
            }
            @if waits.len() > 1 { p.soft { (count(waits.len() as u64, "approval", "approvals")) " wait." } }
        }
    }
}

fn following(run: RunId, state: &Run, last: u64) -> Markup {
    let stream = format!("/console/stream?run={run}&from={}", last + 1);
    let stream = Some(stream).filter(|_| !state.status().has_ended());
    html! {
        p.live #live data-live data-stream=[stream.as_ref()] {
            span data-live-state role="status" { @if stream.is_none() { "The run has ended." } }
            @if stream.is_some() { noscript { "Reload to see what is new." } }
        }
    }
}

/// The run at a point.
fn at(run: RunId, sequence: u64) -> String {
    format!("{}?at={sequence}", address(run))
}
