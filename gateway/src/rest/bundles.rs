//! `/v1/bundles`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use xagent_commands::{Done, Published};
use xagent_domain::Digest;
use xagent_policies::Bundle;

use super::Doors;
use super::extract::{Body_, Calling, Id, invalid};
use super::runs::Nothing;
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Rego modules by path.
    modules: BTreeMap<String, String>,
    /// The data document.
    data: Value,
}

/// `POST /v1/bundles`: checks a bundle, runs its tests, and keeps it.
pub async fn publish(
    State(doors): State<Doors>,
    calling: Calling,
    Body_(files): Body_<Files>,
) -> Result<(StatusCode, Json<Published>), Problem> {
    let bundle = Bundle::from_parts(files.modules, &files.data.to_string());
    let bundle = bundle.map_err(|error| calling.problem(invalid("/modules", &error.to_string())))?;
    let published = doors.commands.publish_bundle(&calling.caller, bundle).await;
    published.map(|done| (StatusCode::CREATED, Json(done))).map_err(|error| calling.problem(error))
}

/// `POST /v1/bundles/{digest}/activate`: from here on it decides.
pub async fn activate(
    State(doors): State<Doors>,
    calling: Calling,
    Id(digest): Id<Digest>,
    Body_(Nothing {}): Body_<Nothing>,
) -> Result<Json<Done>, Problem> {
    doors.commands.activate_bundle(&calling.caller, digest).await.map(Json).map_err(|e| calling.problem(e))
}
