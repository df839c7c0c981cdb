//! `/v1/approvals`.

use axum::extract::State;
use xagent_commands::Done;
use xagent_domain::ApprovalId;

use super::Doors;
use super::accepted::{Accepted, Proven};
use super::extract::{Body_, CommandingRun, Id};
use super::openapi::{RunCommand, Shown};
use super::runs::{Because, Nothing};
use crate::problem::Problem;

/// Grant an approval
#[utoipa::path(
    post, path = "/v1/approvals/{approval}/grant", operation_id = "grant_approval", tag = "Approvals",
    params(CommandingRun), request_body = Nothing, responses(Shown<Proven<Done>>, RunCommand),
)]
pub async fn grant(
    State(doors): State<Doors>,
    commanding: CommandingRun,
    Id(approval): Id<ApprovalId>,
    Body_(Nothing {}): Body_<Nothing>,
) -> Result<Accepted<Done>, Problem> {
    let (calling, commands) = (&commanding.calling, commanding.commands(&doors));
    commands.grant(&calling.caller, approval).await.map(Accepted::done).map_err(|e| calling.problem(e))
}

/// Refuse an approval
#[utoipa::path(
    post, path = "/v1/approvals/{approval}/refuse", operation_id = "refuse_approval", tag = "Approvals",
    params(CommandingRun), request_body = Because, responses(Shown<Proven<Done>>, RunCommand),
)]
pub async fn refuse(
    State(doors): State<Doors>,
    commanding: CommandingRun,
    Id(approval): Id<ApprovalId>,
    Body_(body): Body_<Because>,
) -> Result<Accepted<Done>, Problem> {
    let (calling, commands) = (&commanding.calling, commanding.commands(&doors));
    commands.refuse(&calling.caller, approval, body.reason).await.map(Accepted::done).map_err(|e| calling.problem(e))
}
