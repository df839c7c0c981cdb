//! `/console/approvals`: what waits for a person, with what it would do; and the answers, by the API's own commands.

use std::collections::HashMap;

use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded::{Serializer, parse};
use xagent_commands::Done;
use xagent_domain::ApprovalId;
use xagent_domain::run::{Call, Run};
use xagent_projections::ApprovalRow;

use super::filters::{follows, given, live, pages};
use super::form::Filled;
use super::layout::{self, Here};
use super::parts::{content, facts, fold, heading, moment, nothing, prose, status};
use super::runs::address;
use crate::export::Format;
use crate::problem::{Problem, ProblemType};
use crate::rest::Doors;
use crate::rest::extract::{Calling, CommandingRun, Id};
use crate::rest::query::{self, Asked};
use crate::rest::runs::as_of;

const PATH: &str = "/console/approvals";
/// Approvals on a page: for each, its run is read.
const PAGE: u32 = 30;
const CHANGES: &str =
    "ApprovalRequested,ApprovalGranted,ApprovalRefused,ToolCallStarted,RunCancelled,RunCompleted,RunFailed";

/// The inbox; all approvals where it is asked for those.
pub async fn inbox(
    State(doors): State<Doors>,
    calling: Calling,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let answered = given(&query, "done");
    let asked = Asked::<ApprovalRow>::of(&within(&query)).map_err(|problem| calling.problem(problem))?;
    if asked.format != Format::Json {
        return query::answer(&doors, &calling, asked, "read.runs", "approval").await;
    }
    let shown = query::rows(&doors, &calling, &asked, "read.runs", "approval").await?;
    let runs = runs(&doors, &calling, &shown.items).await?;
    let (now_us, waiting) = (doors.commands.executor().now_us(), given(&within(&query), "status") == "waiting");
    let body = html! {
        (heading("Approvals", "Calls that only a person can let go on. Nobody answers for their own run."))
        (done(&answered))
        nav.tabs aria-label="Which approvals" {
            a href=(PATH) aria-current=[waiting.then_some("page")] { "Waiting" }
            a href={ (PATH) "?order=newest" } aria-current=[(!waiting).then_some("page")] { "All" }
        }
        @if follows(&query) { (live(CHANGES)) }
        ul.cards #approvals data-live="list" { @for row in &shown.items { (card(row, runs.get(&row.run), now_us)) } }
        div #approvals-none data-live { @if shown.items.is_empty() { (nothing(if waiting { "Nothing waits for you." } else { "No approval was ever asked for." })) } }
        (pages(PATH, &without_done(&query), shown.next.as_deref()))
    };
    Ok(Html(layout::page("Approvals", Here::Approvals, Some(&calling.caller.principal), body).into_string())
        .into_response())
}

/// The query of the list: those that wait, where nothing else is asked for.
fn within(query: &str) -> String {
    let plain =
        parse(query.as_bytes()).all(|(name, _)| matches!(&*name, "min_position" | "cursor" | "done" | "format"));
    let mut text = Serializer::new(String::new());
    text.extend_pairs(plain.then_some(("status", "waiting")));
    text.extend_pairs(parse(query.as_bytes()).filter(|(name, _)| name != "done"));
    text.append_pair("limit", &PAGE.to_string()).finish()
}

fn without_done(query: &str) -> String {
    Serializer::new(String::new()).extend_pairs(parse(query.as_bytes()).filter(|(name, _)| name != "done")).finish()
}

/// The runs of these approvals, as far as the law lets the caller read them.
async fn runs(doors: &Doors, calling: &Calling, rows: &[ApprovalRow]) -> Result<HashMap<String, Run>, Problem> {
    let mut runs = HashMap::new();
    for row in rows.iter().filter(|row| row.status == "waiting") {
        let Ok(id) = row.run.parse() else { continue };
        if runs.contains_key(&row.run) {
            continue;
        }
        match as_of(doors, calling, id, u64::MAX).await {
            Ok(shown) => _ = runs.insert(row.run.clone(), shown.state),
            Err(problem) if *problem.kind == *ProblemType::Denied.uri() => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(runs)
}

fn done(answered: &str) -> Markup {
    let (how, run) = answered.split_once('.').unwrap_or_default();
    html! {
        @if matches!(how, "granted" | "refused") {
            p.notice.good role="status" { "The call was " (how) ", and that is recorded. " a href=(address(run)) { "See its run" } }
        }
    }
}

fn card(row: &ApprovalRow, run: Option<&Run>, now_us: i64) -> Markup {
    let id = row.approval.parse::<ApprovalId>().ok();
    let lapsed = row.status == "waiting" && row.expires_at.timestamp_micros() <= now_us;
    let call = run.zip(row.call.parse().ok()).and_then(|(run, call)| run.call(&call));
    let ended = run.is_some_and(|run| run.status().has_ended());
    html! {
        li.card id=(row.approval) data-v={ (row.last_position) (lapsed) } {
            h2 {
                @if lapsed { (status("lapsed")) } @else { (status(&row.status)) }
                " " code { (row.tool.as_deref().unwrap_or("a tool")) }
            }
            p { (prose(&row.reason)) }
            @if let Some(call) = call { (would(call, &row.approval)) }
            (told(row))
            @if row.status == "waiting" && !lapsed && !ended { @if let Some(id) = id { (answer_forms(id, "inbox")) } }
        }
    }
}

/// What the call would do.
fn would(call: &Call, approval: &str) -> Markup {
    html! {
        @match call.arguments.text.as_deref().filter(|text| text.len() <= 300) {
            Some(_) => (content(&call.arguments)),
            None => (fold(&format!("arguments-{approval}"), "What it would be called with", content(&call.arguments))),
        }
    }
}

fn told(row: &ApprovalRow) -> Markup {
    let answered = row.answered_by.as_ref().map(|who| {
        ("Answered", html! { "by " (who) @if let Some(at) = row.answered_at { ", " (moment(at)) } @if let Some(words) = &row.answer { ": " (words) } })
    });
    facts(
        [
            Some(("Agent", html! { (row.agent) })),
            Some(("For", html! { (row.principal) })),
            row.risk.as_ref().map(|risk| ("Risk", html! { (risk) })),
            Some(("Run", html! { a.id href=(address(&row.run)) { (row.run) } })),
            Some(("Asked (UTC)", moment(row.requested_at))),
            Some(("Lapses (UTC)", moment(row.expires_at))),
            answered,
        ]
        .into_iter()
        .flatten(),
    )
}

/// Yes or no.
pub fn answer_forms(id: ApprovalId, back: &str) -> Markup {
    html! {
        div.answers {
            form method="post" action={ (PATH) "/" (id) "/grant" } {
                input type="hidden" name="back" value=(back);
                button.primary type="submit" { "Grant" }
            }
            form.refuse method="post" action={ (PATH) "/" (id) "/refuse" } {
                input type="hidden" name="back" value=(back);
                label.hidden for={ "reason-" (id) } { "Why it is refused" }
                input id={ "reason-" (id) } name="reason" type="text" required maxlength="16384" placeholder="Why not?";
                button.danger type="submit" { "Refuse" }
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granting {
    back: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusing {
    back: String,
    reason: String,
}

/// Yes.
pub async fn grant(
    State(doors): State<Doors>,
    commanding: CommandingRun,
    Id(approval): Id<ApprovalId>,
    Filled(Granting { back }): Filled<Granting>,
) -> Result<Redirect, Problem> {
    let calling = &commanding.calling;
    let done = commanding.commands(&doors).grant(&calling.caller, approval).await;
    done.map(|done| onward(&back, "granted", &done)).map_err(|error| calling.problem(error))
}

/// No, and why.
pub async fn refuse(
    State(doors): State<Doors>,
    commanding: CommandingRun,
    Id(approval): Id<ApprovalId>,
    Filled(Refusing { back, reason }): Filled<Refusing>,
) -> Result<Redirect, Problem> {
    let calling = &commanding.calling;
    let done = commanding.commands(&doors).refuse(&calling.caller, approval, reason).await;
    done.map(|done| onward(&back, "refused", &done)).map_err(|error| calling.problem(error))
}

/// To the run, or back to what waits; the answer is in it.
fn onward(back: &str, how: &str, done: &Done) -> Redirect {
    let (run, position) = (&done.receipt.aggregate_id, done.receipt.last_position);
    match back {
        "run" => Redirect::to(&address(run)),
        _ => Redirect::to(&format!("{PATH}?min_position={position}&done={how}.{run}")),
    }
}
