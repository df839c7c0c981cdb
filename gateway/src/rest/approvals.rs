//! `/v1/approvals`.

use axum::Json;
use axum::extract::State;
use xagent_commands::Done;
use xagent_domain::ApprovalId;

use super::Doors;
use super::extract::{Body_, Calling, Id};
use super::openapi::{RunCommand, Shown};
use super::runs::{Because, Nothing};
use crate::problem::Problem;

/// Grant an approval
#[utoipa::path(
    post, path = "/v1/approvals/{approval}/grant", operation_id = "grant_approval", tag = "Approvals",
    request_body = Nothing, responses(Shown<Done>, RunCommand),
)]
pub async fn grant(
    State(doors): State<Doors>,
    calling: Calling,
    Id(approval): Id<ApprovalId>,
    Body_(Nothing {}): Body_<Nothing>,
) -> Result<Json<Done>, Problem> {
    doors.commands.grant(&calling.caller, approval).await.map(Json).map_err(|e| calling.problem(e))
}

/// Refuse an approval
#[utoipa::path(
    post, path = "/v1/approvals/{approval}/refuse", operation_id = "refuse_approval", tag = "Approvals",
    request_body = Because, responses(Shown<Done>, RunCommand),
)]
pub async fn refuse(
    State(doors): State<Doors>,
    calling: Calling,
    Id(approval): Id<ApprovalId>,
    Body_(body): Body_<Because>,
) -> Result<Json<Done>, Problem> {
    doors.commands.refuse(&calling.caller, approval, body.reason).await.map(Json).map_err(|e| calling.problem(e))
}
