//! A run through time: what changed in it between two of its events, and how two runs compare.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xagent_commands::{CommandError, InvalidInput};
use xagent_domain::RunId;
use xagent_domain::governed::Refusal;
use xagent_domain::run::Run;
use xagent_replay::{Change, Comparison};

use super::Doors;
use super::extract::{Calling, Id, Natural, Parameters};
use super::openapi::{Lookup, Shown};
use crate::problem::Problem;
use crate::recordings;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The state before: as of this sequence; 0 is before anything happened.
    #[schemars(extend("examples" = [24]))]
    from: Natural,
    /// The state after: as of this sequence. It may be the lower one of the two.
    #[schemars(extend("examples" = [25]))]
    to: Natural,
}

/// What changed in a run between two of its events.
#[derive(Serialize, JsonSchema)]
pub struct RunDiff {
    run: String,
    from: u64,
    to: u64,
    /// A JSON Patch (RFC 6902) from the first state to the second; `was` says what there was.
    pub(crate) changes: Vec<Change>,
}

/// Read what changed in a run
///
/// Between any two of its events, forwards or backwards, as a JSON Patch. From the ledger.
#[utoipa::path(
    get, path = "/v1/runs/{run}/diff", operation_id = "diff_run", tag = "Runs",
    params(Parameters<Span>), responses(Shown<RunDiff>, Lookup),
)]
pub async fn diff(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Parameters(Span { from, to }): Parameters<Span>,
) -> Result<Json<RunDiff>, Problem> {
    between(&doors, &calling, run, from.0, to.0).await.map(Json)
}

/// What changed in a run between two of its events, where the law lets the caller read it.
pub(crate) async fn between(
    doors: &Doors,
    calling: &Calling,
    run: RunId,
    from: u64,
    to: u64,
) -> Result<RunDiff, Problem> {
    let run = run.to_string();
    let allowed = doors.commands.authorise_read(&calling.caller, "read.run", "run", &run).await;
    allowed.map_err(|error| calling.problem(error))?;
    let before = state(doors, calling, &run, ("from", from)).await?;
    let after = state(doors, calling, &run, ("to", to)).await?;
    Ok(RunDiff { run, from, to, changes: xagent_replay::diff(&before, &after) })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Other {
    /// The run to compare with.
    #[schemars(extend("examples" = ["run_01a21fb0c1d278b3a52c7e0f6a1d9b24"]))]
    with: RunId,
}

/// Compare two runs
///
/// Their calls side by side, where they part first, which decisions differ, and how each ended. Both reads are recorded.
#[utoipa::path(
    get, path = "/v1/runs/{run}/compare", operation_id = "compare_runs", tag = "Runs",
    params(Parameters<Other>), responses(Shown<Comparison>, Lookup),
)]
pub async fn compare(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Parameters(Other { with }): Parameters<Other>,
) -> Result<Json<Comparison>, Problem> {
    let mut both = Vec::with_capacity(2);
    for id in [run.to_string(), with.to_string()] {
        let allowed = doors.commands.authorise_read(&calling.caller, "read.events", "run", &id).await;
        allowed.map_err(|error| calling.problem(error))?;
        let tenant = &calling.caller.principal.tenant;
        let events = recordings::events(doors.commands.ledger(), tenant, &id).await;
        let events = events.map_err(|error| calling.problem(error))?;
        if events.is_empty() {
            return Err(calling.problem(Refusal::NotFound { what: "run", id }));
        }
        both.push(events);
    }
    let compared = xagent_replay::compare(&both[0], &both[1]);
    compared.map(Json).map_err(|event| crate::shown::unreadable(&event).traced(&calling.trace))
}

/// The state as of a sequence that the run has reached.
async fn state(doors: &Doors, calling: &Calling, run: &str, (field, sequence): (&str, u64)) -> Result<Value, Problem> {
    let tenant = &calling.caller.principal.tenant;
    // The least that can be read is its first event, which tells whether there is such a run.
    let loaded = doors.commands.ledger().load_at::<Run>(tenant, run, sequence.max(1)).await;
    let loaded = loaded.map_err(|error| calling.problem(error))?;
    if loaded.sequence == 0 {
        return Err(calling.problem(Refusal::NotFound { what: "run", id: run.to_owned() }));
    }
    if sequence > loaded.sequence {
        let message = format!("it is {sequence}, but the run's last event is {}", loaded.sequence);
        return Err(calling.problem(CommandError::from(InvalidInput::new(field, message))));
    }
    let state = if sequence == 0 { Run::default() } else { loaded.state };
    serde_json::to_value(state).map_err(|error| {
        let message = format!("the state cannot be written: {error}");
        calling.problem(CommandError::from(InvalidInput::new(field, message)))
    })
}
