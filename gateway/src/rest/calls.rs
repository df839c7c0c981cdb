//! `/v1/runs/{run}/tool-calls`.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xagent_commands::{Done, ProposedCall, ToolRequest};
use xagent_domain::{CallId, RunId};
use xagent_ledger::Receipt;

use super::Doors;
use super::accepted::{Accepted, Proven, Receipted};
use super::extract::{Body_, Calling, CommandingRun, CreatingInRun, Id, Ids, Natural, Wait};
use super::openapi::{Lookup, RunCommand, Shown, Waited, described};
use super::outcome::{self, ShownCall};
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

described!(Proposed, Executing, CallResult);

fn no_arguments() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Propose a tool call
///
/// The answer says whether it may be made; a denial is an answer too.
#[utoipa::path(
    post, path = "/v1/runs/{run}/tool-calls", operation_id = "propose_call", tag = "Tool calls",
    params(CreatingInRun, Wait), request_body = Proposed, responses(Waited<Proven<CallProposed>>, RunCommand),
)]
pub async fn propose(
    State(doors): State<Doors>,
    CreatingInRun(commanding): CreatingInRun,
    wait: Wait,
    Id(run): Id<RunId>,
    Body_(body): Body_<Proposed>,
) -> Result<Accepted<CallProposed>, Problem> {
    let (calling, commands) = (&commanding.calling, commanding.commands(&doors));
    let Proposed { tool, arguments, label } = body;
    let request = ToolRequest { tool, arguments, label };
    let mut proposed = commands.propose(&calling.caller, run, request).await.map_err(|e| calling.problem(e))?;
    let location = format!("/v1/runs/{run}/tool-calls/{}", proposed.call);
    let (mut outcome, mut settled) = (None, false);
    if let Some(patience) = wait.patience() {
        let (ledger, tenant) = (doors.commands.ledger(), &calling.caller.principal.tenant);
        let waited = outcome::call_settled(ledger, tenant, &proposed.receipt, proposed.call, patience).await;
        settled = waited.map_err(|error| calling.problem(error))?;
        let before = proposed.receipt.before();
        let call = outcome::call(ledger, tenant, run, proposed.call, before).await.map_err(|e| calling.problem(e))?;
        proposed.status = call.status;
        outcome = Some(call).filter(|_| settled);
    }
    Ok(Accepted::created(CallProposed { proposed, outcome }, location).waited(wait, settled))
}

/// A tool call that was proposed, and what the law said.
#[derive(Serialize, JsonSchema)]
pub struct CallProposed {
    #[serde(flatten)]
    proposed: ProposedCall,
    /// What came of it, where that was waited for and came about.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<ShownCall>,
}

impl Receipted for CallProposed {
    fn receipt(&self) -> &Receipt {
        &self.proposed.receipt
    }
}

/// Read a tool call
///
/// From its proposal to what came of it.
#[utoipa::path(
    get, path = "/v1/runs/{run}/tool-calls/{call}", operation_id = "read_call", tag = "Tool calls",
    responses(Shown<ShownCall>, Lookup),
)]
pub async fn read(
    State(doors): State<Doors>,
    calling: Calling,
    Ids(run, call): Ids<RunId, CallId>,
) -> Result<Json<ShownCall>, Problem> {
    let allowed = doors.commands.authorise_read(&calling.caller, "read.run", "run", &run.to_string()).await;
    allowed.map_err(|error| calling.problem(error))?;
    let (ledger, tenant) = (doors.commands.ledger(), &calling.caller.principal.tenant);
    outcome::call(ledger, tenant, run, call, 0).await.map(Json).map_err(|problem| calling.problem(problem))
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
    params(CommandingRun), request_body = Executing, responses(Shown<Proven<ProposedCall>>, RunCommand),
)]
pub async fn start(
    State(doors): State<Doors>,
    commanding: CommandingRun,
    Ids(run, call): Ids<RunId, CallId>,
    Body_(Executing { arguments }): Body_<Executing>,
) -> Result<Accepted<ProposedCall>, Problem> {
    let (calling, commands) = (&commanding.calling, commanding.commands(&doors));
    let started = commands.start_call(&calling.caller, run, call, arguments).await;
    started.map(Accepted::done).map_err(|error| calling.problem(error))
}

/// What came of a tool call.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallResult {
    /// Whether the tool did what it was called for.
    succeeded: bool,
    /// What it answered.
    output: Value,
    /// How long it took, in microseconds.
    #[serde(default)]
    duration_us: Natural,
}

/// Record the outcome of a tool call
///
/// One that the client executed.
#[utoipa::path(
    post, path = "/v1/runs/{run}/tool-calls/{call}/result", operation_id = "post_result", tag = "Tool calls",
    params(CommandingRun), request_body = CallResult, responses(Shown<Proven<Done>>, RunCommand),
)]
pub async fn result(
    State(doors): State<Doors>,
    commanding: CommandingRun,
    Ids(run, call): Ids<RunId, CallId>,
    Body_(body): Body_<CallResult>,
) -> Result<Accepted<Done>, Problem> {
    let (calling, commands) = (&commanding.calling, commanding.commands(&doors));
    let CallResult { succeeded, output, duration_us } = body;
    let posted = commands.post_result(&calling.caller, run, call, succeeded, &output, duration_us.0).await;
    posted.map(Accepted::done).map_err(|error| calling.problem(error))
}
