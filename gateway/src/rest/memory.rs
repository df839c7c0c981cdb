//! `GET /v1/runs/{run}/memory`.

use axum::Json;
use axum::extract::State;
use axum::http::header::{self, HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;
use xagent_domain::RunId;
use xagent_domain::governed::Refusal;
use xagent_domain::run::{Memory, Run};

use super::Doors;
use super::extract::{Calling, Id};
use super::openapi::{Lookup, Tagged};
use crate::problem::{Problem, etag};

/// What the model that plans a run remembers.
#[derive(Serialize, JsonSchema)]
pub struct ShownMemory {
    run: String,
    /// `view` or `ledger`.
    source: &'static str,
    /// The last event that it covers.
    sequence: u64,
    memory: Memory,
}

/// Read a run's working memory
///
/// What the model that plans it remembers: its turns, and what became of what it asked for. From the view; from the ledger
/// where the view is away or has forgotten it. It decides nothing: what a model is asked with is built from the run's events.
#[utoipa::path(
    get, path = "/v1/runs/{run}/memory", operation_id = "read_memory", tag = "Runs",
    responses(Tagged<ShownMemory>, Lookup),
)]
pub async fn memory(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
) -> Result<(HeaderMap, Json<ShownMemory>), Problem> {
    let (tenant, id) = (&calling.caller.principal.tenant, run.to_string());
    let allowed = doors.commands.authorise_read(&calling.caller, "read.run", "run", &id).await;
    allowed.map_err(|error| calling.problem(error))?;
    match doors.views.memory(tenant, &id).await {
        Ok(Some(view)) => return Ok(shown(id, "view", view.sequence, view.memory)),
        Ok(None) => {}
        Err(error) => tracing::debug!(error = %error, "view.memory.unavailable"),
    }
    let loaded = doors.commands.ledger().load::<Run>(tenant, &id).await.map_err(|e| calling.problem(e))?;
    if !loaded.state.exists() {
        return Err(calling.problem(Refusal::NotFound { what: "run", id }));
    }
    Ok(shown(id, "ledger", loaded.sequence, loaded.state.memory().clone()))
}

fn shown(run: String, source: &'static str, sequence: u64, memory: Memory) -> (HeaderMap, Json<ShownMemory>) {
    let tag = etag(sequence).ok().map(|tag| (header::ETAG, tag));
    (tag.into_iter().collect(), Json(ShownMemory { run, source, sequence, memory }))
}
