//! `/v1/tools`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xagent_commands::Done;
use xagent_domain::CanonicalJson;
use xagent_domain::run::{ArgumentRole, Executor};
use xagent_domain::tool::{Registration, ToolSource};

use super::Doors;
use super::extract::{Body_, Calling, invalid};
use super::openapi::{Command, Query, Recorded, Shown, described};
use crate::problem::Problem;

/// A tool as it is registered and shown.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    name: String,
    #[serde(default)]
    description: String,
    /// JSON Schema of the arguments.
    schema: Value,
    executor: Executor,
    risk: String,
    #[serde(default)]
    idempotent: bool,
    #[serde(default)]
    consequential: bool,
    #[serde(default)]
    reads_untrusted: bool,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    code: BTreeMap<String, String>,
    #[serde(default)]
    trusted_source: bool,
    #[serde(default)]
    roles: BTreeMap<String, ArgumentRole>,
    /// The upstream's tool it was registered from.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    source: Option<ToolSource>,
}

described!(Tool);

/// Register a tool
///
/// For the caller's tenant.
#[utoipa::path(
    post, path = "/v1/tools", operation_id = "register_tool", tag = "Tools",
    request_body = Tool, responses(Recorded<Done>, Command),
)]
pub async fn register(
    State(doors): State<Doors>,
    calling: Calling,
    Body_(tool): Body_<Tool>,
) -> Result<(StatusCode, Json<Done>), Problem> {
    let schema = CanonicalJson::of_value(&tool.schema);
    let schema = schema.map_err(|error| calling.problem(invalid("/schema", &error.to_string())))?;
    let registration = Registration {
        name: tool.name,
        description: tool.description,
        schema,
        executor: tool.executor,
        risk: tool.risk,
        idempotent: tool.idempotent,
        consequential: tool.consequential,
        reads_untrusted: tool.reads_untrusted,
        paths: tool.paths,
        urls: tool.urls,
        code: tool.code,
        trusted_source: tool.trusted_source,
        roles: tool.roles,
        source: None,
    };
    let done = doors.commands.register_tool(&calling.caller, registration).await;
    done.map(|done| (StatusCode::CREATED, Json(done))).map_err(|error| calling.problem(error))
}

/// The tools of a tenant.
#[derive(Serialize, JsonSchema)]
pub struct Tools {
    items: Vec<Tool>,
}

/// List tools
///
/// Those of the caller's tenant.
#[utoipa::path(
    get, path = "/v1/tools", operation_id = "list_tools", tag = "Tools",
    responses(Shown<Tools>, Query),
)]
pub async fn list(State(doors): State<Doors>, calling: Calling) -> Result<Json<Tools>, Problem> {
    let allowed = doors.commands.authorise_read(&calling.caller, "read.tools", "tool", "").await;
    allowed.map_err(|error| calling.problem(error))?;
    let tools = doors.commands.catalog().all(&calling.caller.principal.tenant).await;
    let tools = tools.map_err(|error| calling.problem(error))?;
    let items = tools.into_iter().map(|tool| Tool {
        name: tool.name,
        description: tool.description,
        schema: tool.schema.value().unwrap_or_default(),
        executor: tool.executor,
        risk: tool.risk,
        idempotent: tool.idempotent,
        consequential: tool.consequential,
        reads_untrusted: tool.reads_untrusted,
        paths: tool.paths,
        urls: tool.urls,
        code: tool.code,
        trusted_source: tool.trusted_source,
        roles: tool.roles,
        source: tool.source,
    });
    Ok(Json(Tools { items: items.collect() }))
}
