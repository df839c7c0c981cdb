//! `/v1/ledger`: what a stranger needs to check a receipt. Hashes only, never payloads.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_domain::Digest;
use xagent_domain::governed::Refusal;
use xagent_ledger::{ConsistencyProof, InclusionProof};

use super::Doors;
use super::extract::{Calling, Natural, Parameters};
use super::openapi::{Lookup, Shown};
use crate::problem::Problem;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfSize {
    /// The present size where none is given.
    size: Option<Natural>,
}

/// A tree.
#[derive(Serialize, JsonSchema)]
pub struct Tree {
    /// Events in it.
    pub(crate) size: u64,
    /// RFC 6962 section 2.1.
    pub(crate) root: Digest,
}

/// Read the root of the tree
///
/// Now, or at a size it had.
#[utoipa::path(
    get, path = "/v1/ledger/root", operation_id = "read_root", tag = "Ledger",
    params(Parameters<OfSize>), responses(Shown<Tree>, Lookup),
)]
pub async fn root(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(query): Parameters<OfSize>,
) -> Result<Json<Tree>, Problem> {
    tree(&doors, &calling, query.size.map(|size| size.0)).await.map(Json)
}

/// The tree, now or at a size it had, where the law lets the caller read it.
pub(crate) async fn tree(doors: &Doors, calling: &Calling, size: Option<u64>) -> Result<Tree, Problem> {
    allowed(doors, calling).await?;
    let head = head(doors, calling).await?;
    let size = size.unwrap_or(head);
    if size > head {
        return Err(calling.problem(Refusal::NotFound { what: "tree of size", id: size.to_string() }));
    }
    let root = doors.commands.ledger().root_at(size).await.map_err(|error| calling.problem(error))?;
    Ok(Tree { size, root })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfEvent {
    /// The event.
    #[schemars(example = 42)]
    position: Natural,
    /// The tree; the present one where it is left out.
    size: Option<Natural>,
}

/// Prove that an event is in the tree
#[utoipa::path(
    get, path = "/v1/ledger/proof", operation_id = "prove_inclusion", tag = "Ledger",
    params(Parameters<OfEvent>), responses(Shown<InclusionProof>, Lookup),
)]
pub async fn inclusion(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(query): Parameters<OfEvent>,
) -> Result<Json<InclusionProof>, Problem> {
    proof(&doors, &calling, query.position.0, query.size.map(|size| size.0)).await.map(Json)
}

/// The proof that an event is in the tree, where the law lets the caller read it.
pub(crate) async fn proof(
    doors: &Doors,
    calling: &Calling,
    position: u64,
    size: Option<u64>,
) -> Result<InclusionProof, Problem> {
    allowed(doors, calling).await?;
    let size = match size {
        Some(size) => size,
        None => head(doors, calling).await?,
    };
    let proof = doors.commands.ledger().inclusion(position, size).await.map_err(|e| calling.problem(e))?;
    let what = || Refusal::NotFound { what: "event at position", id: format!("{position} of {size}") };
    proof.ok_or_else(|| calling.problem(what()))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// The smaller tree.
    #[schemars(example = 42)]
    first: Natural,
    /// The larger tree.
    #[schemars(example = 49)]
    second: Natural,
}

/// Prove that one tree is a prefix of another
#[utoipa::path(
    get, path = "/v1/ledger/consistency", operation_id = "prove_consistency", tag = "Ledger",
    params(Parameters<Between>), responses(Shown<ConsistencyProof>, Lookup),
)]
pub async fn consistency(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(query): Parameters<Between>,
) -> Result<Json<ConsistencyProof>, Problem> {
    allowed(&doors, &calling).await?;
    let Between { first: Natural(first), second: Natural(second) } = query;
    let proof = doors.commands.ledger().consistency(first, second).await.map_err(|e| calling.problem(e))?;
    let what = || Refusal::NotFound { what: "trees of sizes", id: format!("{first} and {second}") };
    proof.map(Json).ok_or_else(|| calling.problem(what()))
}

/// Whether the law lets the caller read the tree.
pub(crate) async fn allowed(doors: &Doors, calling: &Calling) -> Result<(), Problem> {
    let allowed = doors.commands.authorise_read(&calling.caller, "read.ledger", "ledger", "").await;
    allowed.map_err(|error| calling.problem(error))
}

async fn head(doors: &Doors, calling: &Calling) -> Result<u64, Problem> {
    doors.commands.ledger().head().await.map(|head| head.position).map_err(|error| calling.problem(error))
}
