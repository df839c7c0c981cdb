//! `/v1/ledger/checkpoint`, `/checkpoints`, `/keys`: signed trees, and the keys that sign them.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use xagent_domain::governed::Refusal;
use xagent_ledger::StoredCheckpoint;

use super::Doors;
use super::extract::{Calling, Parameters};
use super::ledger::allowed;
use super::list::Items;
use crate::problem::Problem;

/// A signed tree.
#[derive(Serialize)]
pub struct Signed {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covering {
    /// The tree size of a receipt, for example.
    #[serde(default)]
    at_least: u64,
}

/// `GET /v1/ledger/checkpoint`: the latest one; one of at least a size is signed at once where there is none yet.
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Size after which the page begins.
    #[serde(default)]
    cursor: u64,
    #[serde(default = "page_size")]
    limit: u32,
}

fn page_size() -> u32 {
    100
}

/// `GET /v1/ledger/checkpoints`: all that were ever signed, the smallest tree first.
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
#[derive(Serialize)]
pub struct Key {
    verifier: String,
    /// Its first checkpoint. The key before it signed it too, unless it was not at hand.
    first: Signed,
}

/// `GET /v1/ledger/keys`: the first one first.
pub async fn keys(State(doors): State<Doors>, calling: Calling) -> Result<Json<Items<Key>>, Problem> {
    allowed(&doors, &calling).await?;
    let found = doors.commands.ledger().checkpoint_keys().await.map_err(|error| calling.problem(error))?;
    let items = found.into_iter().map(|key| Key { verifier: key.verifier, first: key.first.into() });
    Ok(Json(Items { items: items.collect(), next: None }))
}
