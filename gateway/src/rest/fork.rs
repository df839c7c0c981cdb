//! `/v1/runs/{run}/fork`.

use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;
use xagent_commands::{CommandError, ForkRequest, ForkedRun};
use xagent_domain::run::Plan;
use xagent_domain::{Digest, RunId};

use super::Doors;
use super::accepted::{Accepted, Proven};
use super::extract::{Body_, Creating, Id, Natural};
use super::openapi::{Command, Waited, described};
use super::runs::{Planner, planned_by};
use crate::problem::Problem;

/// How a run is continued.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForkRun {
    /// The sequence of the last event that is continued, from 1.
    at: Natural,
    /// The published bundle that decides its tool calls; the one in force where it is left out.
    policy: Option<Digest>,
    /// What a worker is to do, step by step, where it is to be something else.
    plan: Option<Plan>,
    /// Who plans, where it is to be somebody else: otherwise the same, by what it said in the other run.
    planner: Option<Planner>,
    /// Whether calls that the other run has no recording of are made. Only the law in force decides on those.
    #[serde(default)]
    live: bool,
}

described!(ForkRun);

/// Continue a run from any of its events
///
/// In a new run of the caller's. Recordings of the other run answer its tool calls where the call is the same: same tool,
/// same registration, same arguments. Where there is none the call is refused, unless the fork is live.
#[utoipa::path(
    post, path = "/v1/runs/{run}/fork", operation_id = "fork_run", tag = "Runs",
    params(Creating), request_body = ForkRun, responses(Waited<Proven<ForkedRun>>, Command),
)]
pub async fn fork(
    State(doors): State<Doors>,
    Creating(commanding): Creating,
    Id(from): Id<RunId>,
    Body_(body): Body_<ForkRun>,
) -> Result<Accepted<ForkedRun>, Problem> {
    let calling = &commanding.calling;
    let ForkRun { at, policy, plan, planner, live } = body;
    let planner = planned_by(plan, planner).map_err(|error| calling.problem(CommandError::from(error)))?;
    let request = ForkRequest { from, at: at.0, policy, planner, live };
    let forked = doors.commands.fork_run(&calling.caller, request).await.map_err(|error| calling.problem(error))?;
    let location = format!("/v1/runs/{}", forked.run);
    Ok(Accepted::created(forked, location))
}
