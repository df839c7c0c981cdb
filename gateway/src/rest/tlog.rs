//! `/v1/ledger/tlog`: the tree as static files (c2sp.org/tlog-tiles), for stock transparency-log clients. Hashes only.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use xagent_domain::governed::Refusal;
use xagent_tree::Tile;

use super::Doors;
use super::checkpoints::covering;
use super::extract::{Calling, Id};
use super::ledger::allowed;
use crate::problem::Problem;

/// A tile never changes. What needs a token stays out of shared caches.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
const A_SECOND: &str = "private, max-age=1";

/// `GET /v1/ledger/tlog/checkpoint`: the latest one, as the signed note it is.
pub async fn checkpoint(State(doors): State<Doors>, calling: Calling) -> Result<impl IntoResponse, Problem> {
    allowed(&doors, &calling).await?;
    let latest = covering(&doors, &calling, 0).await?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, A_SECOND)], latest.note))
}

/// `GET /v1/ledger/tlog/tile/{LEVEL}/{INDEX}[.p/{WIDTH}]`: up to 256 hashes of every eighth level, one after the other.
pub async fn tile(
    State(doors): State<Doors>,
    calling: Calling,
    Id(tile): Id<Tile>,
) -> Result<impl IntoResponse, Problem> {
    allowed(&doors, &calling).await?;
    let found = doors.commands.ledger().tile(tile).await.map_err(|error| calling.problem(error))?;
    let none = || Refusal::NotFound { what: "tile", id: tile.to_string() };
    let hashes = found.ok_or_else(|| calling.problem(none()))?;
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
    Ok(([(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, FOR_EVER)], bytes))
}

/// `GET /v1/ledger/tlog/tile/entries/...`: there are none. An entry is what its leaf hash is made of, the whole event, and
/// events are shown only to who may read them; anything else here would look like a forged log to a stock client.
pub async fn entries(State(doors): State<Doors>, calling: Calling) -> Result<(), Problem> {
    allowed(&doors, &calling).await?;
    let what = "entry bundle: events are read with their own scopes, and leaf hashes are in the tiles of level";
    Err(calling.problem(Refusal::NotFound { what, id: "0".to_owned() }))
}
