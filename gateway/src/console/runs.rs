//! `/console/runs`: what agents were asked, and how it stands.

use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};
use xagent_projections::RunRow;

use super::filters::{follows, form, live, pages};
use super::layout::{self, Here};
use super::parts::{beginning, count, heading, moment, nothing, status};
use crate::export::Format;
use crate::problem::Problem;
use crate::rest::Doors;
use crate::rest::extract::Calling;
use crate::rest::query::{self, Asking};

const PATH: &str = "/console/runs";
/// What changes a row. Decisions are left out: reads of the record are some.
const CHANGES: &str = "RunStarted,GoalSet,ToolCallCompleted,ToolCallInterrupted,ApprovalRequested,ApprovalGranted,\
                       ApprovalRefused,RunPaused,RunResumed,RunCancelled,RunCompleted,RunFailed,RunForked";

/// The list.
pub async fn list(
    State(doors): State<Doors>,
    calling: Calling,
    RawQuery(query): RawQuery,
    Asking(asked): Asking<RunRow>,
) -> Result<Response, Problem> {
    if asked.format != Format::Json {
        return query::answer(&doors, &calling, asked, "read.runs", "run").await;
    }
    let query = query.unwrap_or_default();
    let found = query::rows(&doors, &calling, &asked, "read.runs", "run").await?;
    let body = html! {
        (heading("Runs", "What agents were asked, and how it stands. The youngest first."))
        (form::<RunRow>(PATH, &query, &["text", "status", "agent"]))
        @if follows(&query) { (live(CHANGES)) }
        (table(&found.items))
        (pages(PATH, &query, found.next.as_deref()))
    };
    Ok(Html(layout::page("Runs", Here::Runs, Some(&calling.caller.principal), body).into_string()).into_response())
}

fn table(rows: &[RunRow]) -> Markup {
    html! {
        div.card #runs-card {
            table.rows {
                caption.hidden { "Runs" }
                thead { tr {
                    th scope="col" { "Goal" } th scope="col" { "Status" } th scope="col" { "Agent" }
                    th.number scope="col" { "Calls" } th scope="col" { "Started (UTC)" } th scope="col" { "Last event" }
                } }
                tbody #runs data-live="list" { @for row in rows { (line(row)) } }
            }
            div #runs-none data-live { @if rows.is_empty() { (nothing("No run is like this. Clear a filter, or start one: xagent run --help")) } }
        }
    }
}

fn line(row: &RunRow) -> Markup {
    let goal = if row.goal.is_empty() { "(no goal)".to_owned() } else { beginning(&row.goal, 140) };
    html! {
        tr id=(row.run) data-v=(row.last_position) {
            th scope="row" {
                a href={ (PATH) "/" (row.run) } { (goal) }
                @if !row.summary.is_empty() { div.soft { (beginning(&row.summary, 160)) } }
                div.soft.id { (row.run) }
            }
            td data-label="Status" { (status(&row.status)) }
            td data-label="Agent" { (row.agent) div.soft { "for " (row.principal) } }
            td.number data-label="Calls" {
                (row.tool_calls)
                @if row.denied_calls > 0 { div.bad { (row.denied_calls) " denied" } }
                @if row.approvals > 0 { div.soft { (count(row.approvals, "approval", "approvals")) } }
            }
            td data-label="Started" { (moment(row.started_at)) }
            td data-label="Last event" { (moment(row.updated_at)) div.soft { "event " (row.sequence) } }
        }
    }
}

/// The address of a run.
pub fn address(run: impl std::fmt::Display) -> String {
    format!("{PATH}/{run}")
}
