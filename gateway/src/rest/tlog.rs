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
use super::openapi::{Bytes, Lookup};
use crate::problem::Problem;

/// A tile never changes. What needs a token stays out of shared caches.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
const A_SECOND: &str = "private, max-age=1";

/// Read the latest checkpoint as a signed note
///
/// For stock transparency-log clients (C2SP tlog-tiles).
#[utoipa::path(
    get, path = "/v1/ledger/tlog/checkpoint", operation_id = "read_tlog_checkpoint", tag = "Ledger",
    responses((status = 200, description = "A C2SP signed note.", body = String, content_type = "text/plain"), Lookup),
)]
pub async fn checkpoint(State(doors): State<Doors>, calling: Calling) -> Result<impl IntoResponse, Problem> {
    allowed(&doors, &calling).await?;
    let latest = covering(&doors, &calling, 0).await?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, A_SECOND)], latest.note))
}

/// Read a tile
///
/// Up to 256 hashes of every eighth level, one after the other (C2SP tlog-tiles).
#[utoipa::path(
    get, path = "/v1/ledger/tlog/tile/{*tile}", operation_id = "read_tile", tag = "Ledger",
    responses(
        (status = 200, description = "Hashes of 32 bytes.", content_type = "application/octet-stream", body = Bytes),
        Lookup,
    ),
)]
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

/// Read an entry bundle
///
/// There are none. An entry is what its leaf hash is made of, the whole event, and events are shown only to who may read
/// them; anything else here would look like a forged log to a stock client.
#[utoipa::path(
    get,
    path = "/v1/ledger/tlog/tile/entries/{*bundle}",
    operation_id = "read_entries",
    tag = "Ledger",
    responses(Lookup)
)]
pub async fn entries(State(doors): State<Doors>, calling: Calling) -> Result<(), Problem> {
    allowed(&doors, &calling).await?;
    let what = "entry bundle: events are read with their own scopes, and leaf hashes are in the tiles of level";
    Err(calling.problem(Refusal::NotFound { what, id: "0".to_owned() }))
}
