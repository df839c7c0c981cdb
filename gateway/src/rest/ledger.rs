//! `/v1/ledger`: what a stranger needs to check a receipt. Hashes only, never payloads.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use xagent_domain::Digest;
use xagent_domain::governed::Refusal;
use xagent_ledger::{ConsistencyProof, InclusionProof};

use super::Doors;
use super::extract::{Calling, Parameters};
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfSize {
    /// The present size where none is given.
    size: Option<u64>,
}

/// A tree.
#[derive(Serialize)]
pub struct Tree {
    size: u64,
    root: Digest,
}

/// `GET /v1/ledger/root`: the root of the tree, now or at a size it had.
pub async fn root(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(query): Parameters<OfSize>,
) -> Result<Json<Tree>, Problem> {
    allowed(&doors, &calling).await?;
    let head = head(&doors, &calling).await?;
    let size = query.size.unwrap_or(head);
    if size > head {
        return Err(calling.problem(Refusal::NotFound { what: "tree of size", id: size.to_string() }));
    }
    let root = doors.commands.ledger().root_at(size).await.map_err(|error| calling.problem(error))?;
    Ok(Json(Tree { size, root }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfEvent {
    position: u64,
    size: Option<u64>,
}

/// `GET /v1/ledger/proof`: that the event at a position is in the tree of a size.
pub async fn inclusion(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(query): Parameters<OfEvent>,
) -> Result<Json<InclusionProof>, Problem> {
    allowed(&doors, &calling).await?;
    let size = match query.size {
        Some(size) => size,
        None => head(&doors, &calling).await?,
    };
    let proof = doors.commands.ledger().inclusion(query.position, size).await.map_err(|e| calling.problem(e))?;
    let what = || Refusal::NotFound { what: "event at position", id: format!("{} of {size}", query.position) };
    proof.map(Json).ok_or_else(|| calling.problem(what()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Between {
    first: u64,
    second: u64,
}

/// `GET /v1/ledger/consistency`: that one tree is a prefix of another.
pub async fn consistency(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(query): Parameters<Between>,
) -> Result<Json<ConsistencyProof>, Problem> {
    allowed(&doors, &calling).await?;
    let Between { first, second } = query;
    let proof = doors.commands.ledger().consistency(first, second).await.map_err(|e| calling.problem(e))?;
    let what = || Refusal::NotFound { what: "trees of sizes", id: format!("{first} and {second}") };
    proof.map(Json).ok_or_else(|| calling.problem(what()))
}

/// Whether the law lets the caller read the tree.
pub(super) async fn allowed(doors: &Doors, calling: &Calling) -> Result<(), Problem> {
    let allowed = doors.commands.authorise_read(&calling.caller, "read.ledger", "ledger", "").await;
    allowed.map_err(|error| calling.problem(error))
}

async fn head(doors: &Doors, calling: &Calling) -> Result<u64, Problem> {
    doors.commands.ledger().head().await.map(|head| head.position).map_err(|error| calling.problem(error))
}
