//! `/v1/ledger/checkpoint`, `/checkpoints`, `/keys`: signed trees, and the keys that sign them.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_domain::governed::Refusal;
use xagent_ledger::StoredCheckpoint;

use super::Doors;
use super::extract::{Calling, Parameters};
use super::ledger::allowed;
use super::list::Items;
use super::openapi::{Lookup, Query, Shown};
use crate::problem::Problem;

/// A signed tree.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Checkpoint")]
pub struct Signed {
    /// Events in it.
    size: u64,
    /// C2SP signed note.
    note: String,
    /// The key that checks it; compare it with the one you were told.
    verifier: String,
}

impl From<StoredCheckpoint> for Signed {
    fn from(StoredCheckpoint { size, note, verifier }: StoredCheckpoint) -> Self {
        Self { size, note, verifier }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Covering {
    /// The tree size of a receipt, for example.
    #[serde(default)]
    at_least: u64,
}

/// Read the latest checkpoint
///
/// One of at least a size is signed at once where there is none yet.
#[utoipa::path(
    get, path = "/v1/ledger/checkpoint", operation_id = "read_checkpoint", tag = "Ledger",
    params(Parameters<Covering>), responses(Shown<Signed>, Lookup),
)]
pub async fn checkpoint(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(query): Parameters<Covering>,
) -> Result<Json<Signed>, Problem> {
    allowed(&doors, &calling).await?;
    covering(&doors, &calling, query.at_least).await.map(Signed::from).map(Json)
}

/// A checkpoint of at least `size` events.
pub(super) async fn covering(doors: &Doors, calling: &Calling, size: u64) -> Result<StoredCheckpoint, Problem> {
    let found = doors.notary.covering(size).await.map_err(|error| calling.problem(error))?;
    let none = || Refusal::NotFound { what: "checkpoint of at least", id: format!("{size} events") };
    found.ok_or_else(|| calling.problem(none()))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Size after which the page begins.
    #[serde(default)]
    cursor: u64,
    /// Checkpoints at most.
    #[serde(default = "page_size")]
    limit: u32,
}

fn page_size() -> u32 {
    100
}

/// List checkpoints
///
/// All that were ever signed, the smallest tree first.
#[utoipa::path(
    get, path = "/v1/ledger/checkpoints", operation_id = "list_checkpoints", tag = "Ledger",
    params(Parameters<Page>), responses(Shown<Items<Signed>>, Query),
)]
pub async fn checkpoints(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(page): Parameters<Page>,
) -> Result<Json<Items<Signed>>, Problem> {
    allowed(&doors, &calling).await?;
    let limit = page.limit.clamp(1, 1000);
    let found = doors.commands.ledger().checkpoints_after(page.cursor, limit).await;
    let items: Vec<_> = found.map_err(|error| calling.problem(error))?.into_iter().map(Signed::from).collect();
    let next = items.last().filter(|_| items.len() == limit as usize).map(|last| last.size.to_string());
    Ok(Json(Items { items, next }))
}

/// A key that has signed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CheckpointKey")]
pub struct Key {
    /// C2SP verifier key.
    verifier: String,
    /// Its first checkpoint. The key before it signed it too, unless it was not at hand.
    first: Signed,
}

/// List the keys that signed checkpoints
///
/// The first one first.
#[utoipa::path(
    get, path = "/v1/ledger/keys", operation_id = "list_checkpoint_keys", tag = "Ledger",
    responses(Shown<Items<Key>>, Query),
)]
pub async fn keys(State(doors): State<Doors>, calling: Calling) -> Result<Json<Items<Key>>, Problem> {
    allowed(&doors, &calling).await?;
    let found = doors.commands.ledger().checkpoint_keys().await.map_err(|error| calling.problem(error))?;
    let items = found.into_iter().map(|key| Key { verifier: key.verifier, first: key.first.into() });
    Ok(Json(Items { items: items.collect(), next: None }))
}
