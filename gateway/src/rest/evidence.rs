//! `/v1/evidence`: a run in one file that a stranger can examine. Each read is itself recorded.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use xagent_domain::RunId;
use xagent_domain::governed::Refusal;

use super::Doors;
use super::checkpoints::covering;
use super::extract::{Calling, Natural, Parameters};
use super::openapi::Lookup;
use crate::evidence::{EvidenceError, Wanted, export};
use crate::problem::{Problem, ProblemType};

/// Bytes of an answer at most; the command line exports larger ones.
const LARGEST: usize = 64 * 1024 * 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfRun {
    /// The run.
    #[schemars(example = &"run_01a20ad9e4557094b7b7432819d909fb")]
    run: RunId,
    /// Size of an earlier tree that was signed; the file then proves to follow on it.
    since: Option<Natural>,
}

/// Export evidence of a run
///
/// Up to a checkpoint of the present head, signed at once where there is none yet. `xagent evidence verify` examines it
/// offline. The read itself is recorded.
#[utoipa::path(
    get, path = "/v1/evidence", operation_id = "export_evidence", tag = "Evidence",
    params(Parameters<OfRun>),
    responses(
        (status = 200, description = "Evidence: JSON lines.", body = String, content_type = "application/jsonl"),
        Lookup,
    ),
)]
pub async fn evidence(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(query): Parameters<OfRun>,
) -> Result<Response, Problem> {
    let (id, tenant) = (query.run.to_string(), calling.caller.principal.tenant.clone());
    let allowed = doors.commands.authorise_read(&calling.caller, "read.evidence", "run", &id).await;
    allowed.map_err(|error| calling.problem(error))?;
    let ledger = doors.commands.ledger();
    let since = match query.since {
        Some(size) => Some(signed(&doors, &calling, size.0).await?),
        None => None,
    };
    let head = ledger.head().await.map_err(|error| calling.problem(error))?;
    let checkpoint = covering(&doors, &calling, head.position).await?;
    let wanted = Wanted { runs: vec![(tenant, id.clone())], since, ..Wanted::default() };
    let bytes = export(ledger, checkpoint, wanted, LARGEST).await.map_err(|error| refused(&calling, error))?;
    let name = format!("attachment; filename=\"{id}.xe\"");
    let headers = [(header::CONTENT_TYPE, "application/jsonl".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, bytes).into_response())
}

/// The checkpoint that was signed at a size.
async fn signed(doors: &Doors, calling: &Calling, size: u64) -> Result<String, Problem> {
    let after = size.saturating_sub(1);
    let found = doors.commands.ledger().checkpoints_after(after, 1).await.map_err(|error| calling.problem(error))?;
    let none = || Refusal::NotFound { what: "checkpoint of", id: format!("{size} events") };
    let exact = found.into_iter().find(|checkpoint| checkpoint.size == size);
    exact.map(|checkpoint| checkpoint.note).ok_or_else(|| calling.problem(none()))
}

fn refused(calling: &Calling, error: EvidenceError) -> Problem {
    let kind = match error {
        EvidenceError::Ledger(error) => return calling.problem(error),
        EvidenceError::NoRun { run, .. } => return calling.problem(Refusal::NotFound { what: "run", id: run }),
        EvidenceError::TooLarge(_) => ProblemType::TooLarge,
        EvidenceError::NoRange { .. } | EvidenceError::Since(_) => ProblemType::InvalidInput,
        EvidenceError::Incomplete(_) => ProblemType::Internal,
    };
    calling.problem(Problem::new(kind, error.to_string()))
}
