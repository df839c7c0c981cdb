//! `/v1/views`: how far the query tables are.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::super::Doors;
use super::super::extract::Calling;
use super::super::openapi::{Query, Shown};
use super::allowed;
use crate::problem::Problem;

/// How far a view is.
#[derive(Serialize, JsonSchema)]
pub struct Lag {
    /// Every event up to here is in it.
    position: u64,
    /// The end of the ledger.
    head: u64,
    /// Events in between.
    lag: u64,
}

/// How far the views are.
#[derive(Serialize, JsonSchema)]
pub struct Views {
    tables: Lag,
}

/// Read how far the views are
///
/// Up to where the query tables are filled.
#[utoipa::path(
    get, path = "/v1/views", operation_id = "read_views", tag = "Queries", responses(Shown<Views>, Query),
)]
pub async fn views(State(doors): State<Doors>, calling: Calling) -> Result<Json<Views>, Problem> {
    allowed(&doors, &calling, "read.runs", "view", "").await?;
    let position = doors.tables.position().await.map_err(|error| calling.problem(error))?;
    let head = doors.commands.ledger().head().await.map_err(|error| calling.problem(error))?.position;
    Ok(Json(Views { tables: Lag { position, head, lag: head.saturating_sub(position) } }))
}
