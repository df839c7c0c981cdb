//! `/v1/runs`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use xagent_commands::{ChatRequest, CommandError, Done, InvalidInput, PlannerRequest, RunRequest};
use xagent_domain::RunId;
use xagent_domain::governed::Refusal;
use xagent_domain::run::{Plan, Run};
use xagent_ledger::Ledger;
use xagent_projections::RunView;

use super::Doors;
use super::extract::{Body_, Calling, Id, Parameters};
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    agent: String,
    goal: String,
    plan: Option<Plan>,
    planner: Option<Planner>,
    workspace: Option<String>,
}

/// Who plans, where it is not a `plan`.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Planner {
    /// The client.
    Client,
    /// A chat model.
    Chat(Box<ChatRequest>),
    /// The recorded replies of the model that planned another run.
    Recorded(RecordedRun),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedRun {
    run: RunId,
}

/// `POST /v1/runs`: starts a run; a worker walks it with its plan or its model; without either the client proposes its calls.
pub async fn start(
    State(doors): State<Doors>,
    calling: Calling,
    Body_(body): Body_<StartRun>,
) -> Result<Response, Problem> {
    let StartRun { agent, goal, plan, planner, workspace } = body;
    let planner = match (plan, planner) {
        (None, None | Some(Planner::Client)) => PlannerRequest::Client,
        (Some(plan), None) => PlannerRequest::Scripted(plan),
        (None, Some(Planner::Chat(chat))) => PlannerRequest::Chat(chat),
        (None, Some(Planner::Recorded(recorded))) => PlannerRequest::Recorded(recorded.run),
        (Some(_), Some(_)) => {
            let both = InvalidInput::new("/planner", "a run has a `plan` or a `planner`, not both");
            return Err(calling.problem(CommandError::from(both)));
        }
    };
    let request = RunRequest { agent, goal, planner, workspace };
    let started = doors.commands.start_run(&calling.caller, request).await.map_err(|e| calling.problem(e))?;
    let mut response = (StatusCode::CREATED, Json(&started)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/runs/{}", started.run)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// A run as it is shown.
#[derive(Serialize)]
pub struct ShownRun {
    run: String,
    status: &'static str,
    /// `view` or `ledger`.
    source: &'static str,
    sequence: u64,
    state: Run,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRun {
    /// The state as of this sequence.
    at: Option<u64>,
    /// Not older than this sequence: where the view lags, the ledger answers.
    at_least: Option<u64>,
}

/// `GET /v1/runs/{run}`: from the view; from the ledger where the view is away, behind, or was never asked for.
pub async fn read(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Parameters(query): Parameters<ReadRun>,
) -> Result<Json<ShownRun>, Problem> {
    let (tenant, id) = (&calling.caller.principal.tenant, run.to_string());
    let allowed = doors.commands.authorise_read(&calling.caller, "read.run", "run", &id).await;
    allowed.map_err(|error| calling.problem(error))?;
    if query.at.is_none() {
        match doors.views.get(tenant, &id).await {
            Ok(Some(view)) if query.at_least.is_none_or(|least| view.sequence >= least) => {
                return Ok(Json(shown(id, view.sequence, view.state, "view")));
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(error = %error, "view.runs.unavailable"),
        }
    }
    let at = query.at.unwrap_or(u64::MAX);
    let loaded = doors.commands.ledger().load_at::<Run>(tenant, &id, at).await.map_err(|e| calling.problem(e))?;
    if !loaded.state.exists() {
        return Err(calling.problem(Refusal::NotFound { what: "run", id }));
    }
    Ok(Json(shown(id, loaded.sequence, loaded.state, "ledger")))
}

fn shown(run: String, sequence: u64, state: Run, source: &'static str) -> ShownRun {
    ShownRun { run, status: state.status().as_str(), source, sequence, state }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    cursor: Option<u64>,
    #[serde(default = "page_size")]
    limit: u32,
}

fn page_size() -> u32 {
    50
}

/// One line of the list of runs.
#[derive(Serialize)]
pub struct ListedRun {
    run: String,
    status: &'static str,
    agent: String,
    goal: String,
    tool_calls: u32,
    denied: u32,
    started_at_position: u64,
    summary: String,
}

/// A page of runs.
#[derive(Serialize)]
pub struct Runs {
    items: Vec<ListedRun>,
    /// Pass it as `cursor` for the next page.
    next: Option<String>,
}

/// `GET /v1/runs`: the youngest first.
pub async fn list(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(page): Parameters<Page>,
) -> Result<Json<Runs>, Problem> {
    let allowed = doors.commands.authorise_read(&calling.caller, "read.runs", "run", "").await;
    allowed.map_err(|error| calling.problem(error))?;
    let (tenant, ledger) = (&calling.caller.principal.tenant, doors.commands.ledger());
    let limit = page.limit.clamp(1, 500);
    let before = page.cursor.unwrap_or(u64::MAX);
    let runs = ledger.runs(tenant, before, limit).await.map_err(|error| calling.problem(error))?;
    let next = runs.last().filter(|_| runs.len() == limit as usize).map(|(position, _)| position.to_string());
    let mut items = Vec::with_capacity(runs.len());
    for (position, id) in runs {
        let state = match doors.views.get(tenant, &id).await {
            Ok(Some(RunView { state, .. })) => state,
            Ok(None) | Err(_) => folded(ledger, &calling, &id).await?,
        };
        items.push(ListedRun {
            run: id,
            status: state.status().as_str(),
            agent: state.agent().to_owned(),
            goal: state.goal_text().to_owned(),
            tool_calls: state.tally().total,
            denied: state.tally().denied,
            started_at_position: position,
            summary: state.summary().to_owned(),
        });
    }
    Ok(Json(Runs { items, next }))
}

async fn folded(ledger: &Ledger, calling: &Calling, id: &str) -> Result<Run, Problem> {
    let loaded = ledger.load::<Run>(&calling.caller.principal.tenant, id).await;
    loaded.map(|loaded| loaded.state).map_err(|error| calling.problem(error))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Because {
    pub(super) reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    achieved: bool,
    summary: String,
}

/// `POST /v1/runs/{run}/pause`.
pub async fn pause(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Body_(body): Body_<Because>,
) -> Result<Json<Done>, Problem> {
    doors.commands.pause_run(&calling.caller, run, body.reason).await.map(Json).map_err(|e| calling.problem(e))
}

/// `POST /v1/runs/{run}/resume`.
pub async fn resume(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Body_(Nothing {}): Body_<Nothing>,
) -> Result<Json<Done>, Problem> {
    doors.commands.resume_run(&calling.caller, run).await.map(Json).map_err(|e| calling.problem(e))
}

/// `POST /v1/runs/{run}/cancel`.
pub async fn cancel(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Body_(body): Body_<Because>,
) -> Result<Json<Done>, Problem> {
    doors.commands.cancel_run(&calling.caller, run, body.reason).await.map(Json).map_err(|e| calling.problem(e))
}

/// `POST /v1/runs/{run}/complete`: the client of a client-driven run says how it ended.
pub async fn complete(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Body_(body): Body_<Completion>,
) -> Result<Json<Done>, Problem> {
    let completed = doors.commands.complete_run(&calling.caller, run, body.achieved, body.summary).await;
    completed.map(Json).map_err(|error| calling.problem(error))
}
