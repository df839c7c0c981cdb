//! Queries: lists of what happened, from the query tables, filtered, in order, as pages or as files. Each answer says up to
//! which position it is true. Reads of the record are themselves decided and recorded.

mod cursor;
mod described;
pub mod events;
pub mod overview;
mod parameters;
pub mod views;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use xagent_projections::{
    ApprovalRow, DecisionRow, GoalRow, Listed, Row, RunRow, SwitchRow, TablesError, ToolCallRow, UsageRow,
};

use super::Doors;
use super::extract::{Calling, header, invalid};
use super::openapi::Query;
use crate::export::{self, Format};
use crate::problem::{Problem, ProblemType};
use cursor::Cursor;
use described::Listing;
pub use parameters::{Asked, Asking};

/// How long an answer waits for `min_position` unless `Prefer: wait` says otherwise, and at most.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(10);
/// The header that says up to which position an answer is true.
const POSITION: &str = "x-position";

/// A page of a list.
#[derive(Serialize)]
pub struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Pass it as `cursor` for the next page; none on the last one.
    pub(crate) next: Option<String>,
    /// Every event up to here is in the answer.
    pub(crate) position: u64,
}

/// Query runs
///
/// The youngest first. From the query tables, like all lists but that of events.
#[utoipa::path(
    get, path = "/v1/runs", operation_id = "query_runs", tag = "Queries",
    params(Asking<RunRow>), responses(Listing<RunRow>, Query),
)]
pub async fn runs(doors: State<Doors>, calling: Calling, asking: Asking<RunRow>) -> Result<Response, Problem> {
    answer(&doors, &calling, asking.0, "read.runs", "run").await
}

/// Query goals
///
/// The youngest first.
#[utoipa::path(
    get, path = "/v1/goals", operation_id = "query_goals", tag = "Queries",
    params(Asking<GoalRow>), responses(Listing<GoalRow>, Query),
)]
pub async fn goals(doors: State<Doors>, calling: Calling, asking: Asking<GoalRow>) -> Result<Response, Problem> {
    answer(&doors, &calling, asking.0, "read.runs", "goal").await
}

/// Query decisions
///
/// Of tool calls, commands and reads, the youngest first. The read itself is recorded, with its filters.
#[utoipa::path(
    get, path = "/v1/decisions", operation_id = "query_decisions", tag = "Queries",
    params(Asking<DecisionRow>), responses(Listing<DecisionRow>, Query),
)]
pub async fn decisions(
    doors: State<Doors>,
    calling: Calling,
    asking: Asking<DecisionRow>,
) -> Result<Response, Problem> {
    answer(&doors, &calling, asking.0, "read.decisions", "decision").await
}

/// Query tool calls
///
/// The youngest first.
#[utoipa::path(
    get, path = "/v1/tool-calls", operation_id = "query_tool_calls", tag = "Queries",
    params(Asking<ToolCallRow>), responses(Listing<ToolCallRow>, Query),
)]
pub async fn tool_calls(
    doors: State<Doors>,
    calling: Calling,
    asking: Asking<ToolCallRow>,
) -> Result<Response, Problem> {
    answer(&doors, &calling, asking.0, "read.runs", "tool_call").await
}

/// Query approvals
///
/// The youngest first.
#[utoipa::path(
    get, path = "/v1/approvals", operation_id = "query_approvals", tag = "Queries",
    params(Asking<ApprovalRow>), responses(Listing<ApprovalRow>, Query),
)]
pub async fn approvals(
    doors: State<Doors>,
    calling: Calling,
    asking: Asking<ApprovalRow>,
) -> Result<Response, Problem> {
    answer(&doors, &calling, asking.0, "read.runs", "approval").await
}

/// Query usage
///
/// By hour, agent and principal.
#[utoipa::path(
    get, path = "/v1/usage", operation_id = "query_usage", tag = "Queries",
    params(Asking<UsageRow>), responses(Listing<UsageRow>, Query),
)]
pub async fn usage(doors: State<Doors>, calling: Calling, asking: Asking<UsageRow>) -> Result<Response, Problem> {
    answer(&doors, &calling, asking.0, "read.runs", "usage").await
}

/// Query switches of the law
///
/// Which bundle came into force when.
#[utoipa::path(
    get, path = "/v1/switches", operation_id = "query_switches", tag = "Queries",
    params(Asking<SwitchRow>), responses(Listing<SwitchRow>, Query),
)]
pub async fn switches(doors: State<Doors>, calling: Calling, asking: Asking<SwitchRow>) -> Result<Response, Problem> {
    answer(&doors, &calling, asking.0, "read.bundles", "bundle").await
}

/// The answer to a list, where the law lets the caller read it: a page, or all of it as a file.
pub(crate) async fn answer<R: Row>(
    doors: &Doors,
    calling: &Calling,
    asked: Asked<R>,
    name: &str,
    aggregate: &str,
) -> Result<Response, Problem> {
    if asked.format == Format::Json {
        return rows(doors, calling, &asked, name, aggregate).await.map(page);
    }
    ready(doors, calling, &asked, name, aggregate).await?;
    let question = asked.question(calling.caller.principal.tenant.clone());
    let rows = doors.tables.stream::<R>(question).await.map_err(|error| calling.problem(error))?;
    Ok(file::<R>(asked.format, rows.position, export::body(asked.format, rows.rows)))
}

/// A page of a list, where the law lets the caller read it.
pub(crate) async fn rows<R: Row>(
    doors: &Doors,
    calling: &Calling,
    asked: &Asked<R>,
    name: &str,
    aggregate: &str,
) -> Result<Page<R>, Problem> {
    ready(doors, calling, asked, name, aggregate).await?;
    let mut question = asked.question(calling.caller.principal.tenant.clone());
    let limit = asked.limit.unwrap_or(parameters::PAGE);
    question.limit = Some(limit.saturating_add(1));
    let mut found = doors.tables.ask::<R>(&question).await.map_err(|error| calling.problem(error))?;
    let more = found.rows.len() > limit as usize;
    found.rows.truncate(limit as usize);
    let last = found.rows.last().filter(|_| more).map(place);
    let next = last.map(|after| Cursor { list: R::NAME.to_owned(), filter: asked.filter.clone(), after }.text());
    Ok(Page { items: found.rows, next, position: found.position })
}

/// The law lets the caller ask this, and what it wants to be in the answer is there.
async fn ready<R>(
    doors: &Doors,
    calling: &Calling,
    asked: &Asked<R>,
    name: &str,
    aggregate: &str,
) -> Result<(), Problem> {
    allowed(doors, calling, name, aggregate, &asked.text).await?;
    let Some(wanted) = asked.min_position else { return Ok(()) };
    let reached = doors.tables.reach(doors.commands.ledger(), wanted, asked.patience).await;
    reached.map_err(|error| calling.problem(error))
}

/// Asks the law whether the caller may ask this; the record says what was asked.
async fn allowed(doors: &Doors, calling: &Calling, name: &str, aggregate: &str, text: &str) -> Result<(), Problem> {
    let attributes = [("query", text.to_owned())];
    let attributes = if text.is_empty() { &[][..] } else { &attributes[..] };
    let allowed = doors.commands.authorise_query(&calling.caller, name, aggregate, "", attributes).await;
    allowed.map_err(|error| calling.problem(error))
}

/// The place of a row in its list.
fn place<R: Row>(row: &R) -> u64 {
    let fields = serde_json::to_value(row).unwrap_or_default();
    fields["position"].as_u64().unwrap_or_default()
}

fn page<T: Serialize>(page: Page<T>) -> Response {
    let position = page.position;
    at(position, Json(page).into_response())
}

/// A list as a file.
fn file<R: Listed>(format: Format, position: u64, body: axum::body::Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    let name = format!("attachment; filename=\"{}.{}\"", R::NAME, format.extension());
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    at(position, response)
}

/// The answer with what it is true up to. It depends on `Accept`, and on who asks.
fn at(position: u64, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(POSITION, HeaderValue::from(position));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// How long the caller would wait (RFC 7240 section 4.3).
fn patience(headers: &HeaderMap) -> Duration {
    let wanted = header(headers, "prefer").and_then(|prefer| {
        let waits = prefer.split([',', ';']).filter_map(|one| one.trim().strip_prefix("wait="));
        waits.filter_map(|seconds| seconds.trim().parse().ok()).next()
    });
    wanted.map_or(PATIENCE, Duration::from_secs).min(LONGEST)
}

impl From<TablesError> for Problem {
    fn from(error: TablesError) -> Self {
        match error {
            TablesError::Ledger(error) => error.into(),
            TablesError::Ahead { .. } => invalid("min_position", &error.to_string()),
            TablesError::Behind { .. } => Self::new(ProblemType::Unavailable, error.to_string()).at("min_position"),
            TablesError::Unavailable { operation, detail } => {
                tracing::warn!(operation, detail, "tables.unavailable");
                Self::new(ProblemType::Unavailable, format!("the query tables gave no answer: {operation}; try again"))
            }
            TablesError::Busy => Self::new(ProblemType::Unavailable, error.to_string()),
            TablesError::Failed { .. } | TablesError::Moved { .. } => crate::problem::internal(&error),
        }
    }
}
