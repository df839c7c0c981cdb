//! `/v1/runs`.

use axum::Json;
use axum::extract::State;
use axum::http::header::{self, HeaderMap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_commands::{ChatRequest, CommandError, Done, InvalidInput, PlannerRequest, RunRequest, StartedRun};
use xagent_domain::RunId;
use xagent_domain::governed::Refusal;
use xagent_domain::run::{Plan, Priority, Run, RunStatus};
use xagent_ledger::Receipt;

use super::Doors;
use super::accepted::{Accepted, Proven, Receipted};
use super::extract::{Body_, Calling, CommandingRun, Creating, Id, Natural, Parameters, Wait};
use super::openapi::{Command, Lookup, NO_NUL, RunCommand, Shown, Tagged, Waited, described};
use super::outcome::{RunOutcome, run_ended};
use crate::problem::{Problem, etag};

/// A run to be started.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// The agent's name.
    #[schemars(length(min = 1, max = 128), extend("pattern" = NO_NUL))]
    agent: String,
    /// What is to be reached.
    #[schemars(length(min = 1, max = 16384), extend("pattern" = NO_NUL))]
    goal: String,
    /// What a worker is to do, step by step; the client proposes the calls where it is left out.
    plan: Option<Plan>,
    /// Who plans, where it is not a `plan`.
    planner: Option<Planner>,
    /// The folder on the server that built-in tools are confined to.
    workspace: Option<String>,
    /// How urgent it is among the runs of its tenant.
    #[serde(default)]
    priority: Priority,
}

/// Who plans.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Planner {
    /// The client.
    Client,
    /// A chat model.
    Chat(Box<ChatRequest>),
    /// The recorded replies of the model that planned another run.
    Recorded(RecordedRun),
}

/// A run whose model's replies are used again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedRun {
    /// The run.
    run: RunId,
}

described!(StartRun, Because, Nothing, Completion);

/// Start a run
///
/// With a plan or a planner a worker walks it, without either the client proposes its calls.
#[utoipa::path(
    post, path = "/v1/runs", operation_id = "start_run", tag = "Runs",
    params(Creating, Wait), request_body = StartRun, responses(Waited<Proven<RunStarted>>, Command),
)]
pub async fn start(
    State(doors): State<Doors>,
    Creating(commanding): Creating,
    wait: Wait,
    Body_(body): Body_<StartRun>,
) -> Result<Accepted<RunStarted>, Problem> {
    let calling = &commanding.calling;
    let StartRun { agent, goal, plan, planner, workspace, priority } = body;
    let planner = planned_by(plan, planner).map_err(|error| calling.problem(CommandError::from(error)))?;
    let planner = planner.unwrap_or(PlannerRequest::Client);
    let request = RunRequest { agent, goal, planner, workspace, priority };
    let started = doors.commands.start_run(&calling.caller, request).await.map_err(|e| calling.problem(e))?;
    let (tenant, location) = (&calling.caller.principal.tenant, format!("/v1/runs/{}", started.run));
    let outcome = match wait.patience() {
        Some(patience) => run_ended(doors.commands.ledger(), tenant, &started.receipt, patience).await,
        None => Ok(None),
    };
    let outcome = outcome.map_err(|error| calling.problem(error))?;
    let came_about = outcome.is_some();
    Ok(Accepted::created(RunStarted { started, outcome }, location).waited(wait, came_about))
}

/// Who is to plan, where that is said.
pub(super) fn planned_by(plan: Option<Plan>, planner: Option<Planner>) -> Result<Option<PlannerRequest>, InvalidInput> {
    match (plan, planner) {
        (None, None) => Ok(None),
        (Some(plan), None) => Ok(Some(PlannerRequest::Scripted(plan))),
        (None, Some(Planner::Client)) => Ok(Some(PlannerRequest::Client)),
        (None, Some(Planner::Chat(chat))) => Ok(Some(PlannerRequest::Chat(chat))),
        (None, Some(Planner::Recorded(recorded))) => Ok(Some(PlannerRequest::Recorded(recorded.run))),
        (Some(_), Some(_)) => Err(InvalidInput::new("/planner", "a run has a `plan` or a `planner`, not both")),
    }
}

/// A run that was started.
#[derive(Serialize, JsonSchema)]
pub struct RunStarted {
    #[serde(flatten)]
    started: StartedRun,
    /// How it ended, where that was waited for and came about.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<RunOutcome>,
}

impl Receipted for RunStarted {
    fn receipt(&self) -> &Receipt {
        &self.started.receipt
    }
}

/// A run as it is shown.
#[derive(Serialize, JsonSchema)]
pub struct ShownRun {
    pub(crate) run: String,
    /// Where it stands.
    #[schemars(with = "RunStatus")]
    status: &'static str,
    /// `view` or `ledger`.
    source: &'static str,
    /// The last event that the state covers.
    pub(crate) sequence: u64,
    pub(crate) state: Run,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadRun {
    /// The state as of this sequence.
    at: Option<Natural>,
    /// Not older than this sequence: where the view lags, the ledger answers.
    at_least: Option<Natural>,
}

/// Read a run
///
/// From the view; from the ledger where the view is away, behind, or was never asked for.
#[utoipa::path(
    get, path = "/v1/runs/{run}", operation_id = "read_run", tag = "Runs",
    params(Parameters<ReadRun>), responses(Tagged<ShownRun>, Lookup),
)]
pub async fn read(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Parameters(query): Parameters<ReadRun>,
) -> Result<(HeaderMap, Json<ShownRun>), Problem> {
    let (tenant, id) = (&calling.caller.principal.tenant, run.to_string());
    let allowed = doors.commands.authorise_read(&calling.caller, "read.run", "run", &id).await;
    allowed.map_err(|error| calling.problem(error))?;
    if query.at.is_none() {
        match doors.views.get(tenant, &id).await {
            Ok(Some(view)) if query.at_least.is_none_or(|least| view.sequence >= least.0) => {
                return Ok(shown(id, view.sequence, view.state, "view"));
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(error = %error, "view.runs.unavailable"),
        }
    }
    let recorded = recorded(&doors, &calling, id, query.at.map_or(u64::MAX, |at| at.0)).await?;
    Ok(shown(recorded.run, recorded.sequence, recorded.state, "ledger"))
}

/// The run as of a sequence, where the law lets the caller read it.
pub(crate) async fn as_of(doors: &Doors, calling: &Calling, run: RunId, at: u64) -> Result<ShownRun, Problem> {
    let id = run.to_string();
    let allowed = doors.commands.authorise_read(&calling.caller, "read.run", "run", &id).await;
    allowed.map_err(|error| calling.problem(error))?;
    recorded(doors, calling, id, at).await
}

async fn recorded(doors: &Doors, calling: &Calling, run: String, at: u64) -> Result<ShownRun, Problem> {
    let tenant = &calling.caller.principal.tenant;
    let loaded = doors.commands.ledger().load_at::<Run>(tenant, &run, at).await.map_err(|e| calling.problem(e))?;
    if loaded.sequence == 0 {
        return Err(calling.problem(Refusal::NotFound { what: "run", id: run }));
    }
    let (sequence, state) = (loaded.sequence, loaded.state);
    Ok(ShownRun { run, status: state.status().as_str(), source: "ledger", sequence, state })
}

fn shown(run: String, sequence: u64, state: Run, source: &'static str) -> (HeaderMap, Json<ShownRun>) {
    let tag = etag(sequence).ok().map(|tag| (header::ETAG, tag));
    (tag.into_iter().collect(), Json(ShownRun { run, status: state.status().as_str(), source, sequence, state }))
}

/// Why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// It is recorded.
    #[schemars(length(min = 1, max = 16384), extend("pattern" = NO_NUL))]
    pub(super) reason: String,
}

/// Nothing more needs to be said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// How a run ended.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    /// Whether the goal was reached.
    achieved: bool,
    /// What came of it.
    #[schemars(length(min = 1, max = 16384), extend("pattern" = NO_NUL))]
    summary: String,
}

/// Pause a run
///
/// No further tool of it starts.
#[utoipa::path(
    post, path = "/v1/runs/{run}/pause", operation_id = "pause_run", tag = "Runs",
    params(CommandingRun), request_body = Because, responses(Shown<Proven<Done>>, RunCommand),
)]
pub async fn pause(
    State(doors): State<Doors>,
    commanding: CommandingRun,
    Id(run): Id<RunId>,
    Body_(body): Body_<Because>,
) -> Result<Accepted<Done>, Problem> {
    let (calling, commands) = (&commanding.calling, commanding.commands(&doors));
    commands.pause_run(&calling.caller, run, body.reason).await.map(Accepted::done).map_err(|e| calling.problem(e))
}

/// Let a paused run go on
#[utoipa::path(
    post, path = "/v1/runs/{run}/resume", operation_id = "resume_run", tag = "Runs",
    params(CommandingRun), request_body = Nothing, responses(Shown<Proven<Done>>, RunCommand),
)]
pub async fn resume(
    State(doors): State<Doors>,
    commanding: CommandingRun,
    Id(run): Id<RunId>,
    Body_(Nothing {}): Body_<Nothing>,
) -> Result<Accepted<Done>, Problem> {
    let (calling, commands) = (&commanding.calling, commanding.commands(&doors));
    commands.resume_run(&calling.caller, run).await.map(Accepted::done).map_err(|e| calling.problem(e))
}

/// Cancel a run
///
/// It has ended; what runs already is not cut off.
#[utoipa::path(
    post, path = "/v1/runs/{run}/cancel", operation_id = "cancel_run", tag = "Runs",
    params(CommandingRun), request_body = Because, responses(Shown<Proven<Done>>, RunCommand),
)]
pub async fn cancel(
    State(doors): State<Doors>,
    commanding: CommandingRun,
    Id(run): Id<RunId>,
    Body_(body): Body_<Because>,
) -> Result<Accepted<Done>, Problem> {
    let (calling, commands) = (&commanding.calling, commanding.commands(&doors));
    commands.cancel_run(&calling.caller, run, body.reason).await.map(Accepted::done).map_err(|e| calling.problem(e))
}

/// Complete a run
///
/// The client of a client-driven run says how it ended.
#[utoipa::path(
    post, path = "/v1/runs/{run}/complete", operation_id = "complete_run", tag = "Runs",
    params(CommandingRun), request_body = Completion, responses(Shown<Proven<Done>>, RunCommand),
)]
pub async fn complete(
    State(doors): State<Doors>,
    commanding: CommandingRun,
    Id(run): Id<RunId>,
    Body_(body): Body_<Completion>,
) -> Result<Accepted<Done>, Problem> {
    let (calling, commands) = (&commanding.calling, commanding.commands(&doors));
    let completed = commands.complete_run(&calling.caller, run, body.achieved, body.summary).await;
    completed.map(Accepted::done).map_err(|error| calling.problem(error))
}
