//! `/v1/runs/{run}/tool-calls`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use xagent_commands::{Done, ProposedCall, ToolRequest};
use xagent_domain::{CallId, RunId};

use super::Doors;
use super::extract::{Body_, Calling, Id, Ids};
use super::openapi::{Created, RunCommand, Shown, described};
use crate::problem::Problem;

/// A tool call that a client wants made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proposed {
    /// The tool's name.
    tool: String,
    /// What it is called with; they fit the tool's schema.
    #[serde(default = "no_arguments")]
    arguments: Value,
    /// The step's name; the tool's where it is left out.
    label: Option<String>,
}

described!(Proposed, Executing, Outcome);

fn no_arguments() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Propose a tool call
///
/// The answer says whether it may be made; a denial is an answer too.
#[utoipa::path(
    post, path = "/v1/runs/{run}/tool-calls", operation_id = "propose_call", tag = "Tool calls",
    request_body = Proposed, responses(Created<ProposedCall>, RunCommand),
)]
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
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Executing {
    /// The arguments, which must be those that were approved; left out, the approved ones are meant.
    #[serde(default)]
    arguments: Option<Value>,
}

/// Start an approved tool call
///
/// One that the client executes. It is decided again.
#[utoipa::path(
    post, path = "/v1/runs/{run}/tool-calls/{call}/start", operation_id = "start_call", tag = "Tool calls",
    request_body = Executing, responses(Shown<ProposedCall>, RunCommand),
)]
pub async fn start(
    State(doors): State<Doors>,
    calling: Calling,
    Ids(run, call): Ids<RunId, CallId>,
    Body_(Executing { arguments }): Body_<Executing>,
) -> Result<Json<ProposedCall>, Problem> {
    let started = doors.commands.start_call(&calling.caller, run, call, arguments).await;
    started.map(Json).map_err(|error| calling.problem(error))
}

/// What came of a tool call.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Whether the tool did what it was called for.
    succeeded: bool,
    /// What it answered.
    output: Value,
    /// How long it took, in microseconds.
    #[serde(default)]
    duration_us: u64,
}

/// Record the outcome of a tool call
///
/// One that the client executed.
#[utoipa::path(
    post, path = "/v1/runs/{run}/tool-calls/{call}/result", operation_id = "post_result", tag = "Tool calls",
    request_body = Outcome, responses(Shown<Done>, RunCommand),
)]
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
