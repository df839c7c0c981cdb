//! `/v1/runs`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use xagent_commands::{Done, RunRequest};
use xagent_domain::RunId;
use xagent_domain::governed::Refusal;
use xagent_domain::run::{Plan, Run};

use super::Doors;
use super::extract::{Body_, Calling, Id, Parameters};
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    agent: String,
    goal: String,
    plan: Option<Plan>,
    workspace: Option<String>,
}

/// `POST /v1/runs`: starts a run; with a plan a worker walks it, without one the client proposes its calls.
pub async fn start(
    State(doors): State<Doors>,
    calling: Calling,
    Body_(body): Body_<StartRun>,
) -> Result<Response, Problem> {
    let StartRun { agent, goal, plan, workspace } = body;
    let request = RunRequest { agent, goal, plan, workspace };
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
