//! `/v1/runs/{run}/tool-calls`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use xagent_commands::{Done, ProposedCall, ToolRequest};
use xagent_domain::{CallId, RunId};

use super::Doors;
use super::extract::{Body_, Calling, Id, Ids};
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposed {
    tool: String,
    #[serde(default = "no_arguments")]
    arguments: Value,
    label: Option<String>,
}

fn no_arguments() -> Value {
    Value::Object(serde_json::Map::new())
}

/// `POST /v1/runs/{run}/tool-calls`: proposes a call. The answer says whether it may be made; a denial is an answer too.
pub async fn propose(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Body_(body): Body_<Proposed>,
) -> Result<(StatusCode, Json<ProposedCall>), Problem> {
    let Proposed { tool, arguments, label } = body;
    let request = ToolRequest { tool, arguments, label };
    let proposed = doors.commands.propose(&calling.caller, run, request).await;
    proposed.map(|call| (StatusCode::CREATED, Json(call))).map_err(|error| calling.problem(error))
}

/// What a client is about to execute.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Executing {
    /// The arguments, which must be those that were approved; left out, the approved ones are meant.
    #[serde(default)]
    arguments: Option<Value>,
}

/// `POST /v1/runs/{run}/tool-calls/{call}/start`: starts an approved call that the client executes. It is decided again.
pub async fn start(
    State(doors): State<Doors>,
    calling: Calling,
    Ids(run, call): Ids<RunId, CallId>,
    Body_(Executing { arguments }): Body_<Executing>,
) -> Result<Json<ProposedCall>, Problem> {
    let started = doors.commands.start_call(&calling.caller, run, call, arguments).await;
    started.map(Json).map_err(|error| calling.problem(error))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    succeeded: bool,
    output: Value,
    #[serde(default)]
    duration_us: u64,
}

/// `POST /v1/runs/{run}/tool-calls/{call}/result`: records the outcome of a call that the client executed.
pub async fn result(
    State(doors): State<Doors>,
    calling: Calling,
    Ids(run, call): Ids<RunId, CallId>,
    Body_(body): Body_<Outcome>,
) -> Result<Json<Done>, Problem> {
    let Outcome { succeeded, output, duration_us } = body;
    let posted = doors.commands.post_result(&calling.caller, run, call, succeeded, &output, duration_us).await;
    posted.map(Json).map_err(|error| calling.problem(error))
}
