//! `/v1/tools`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xagent_commands::Done;
use xagent_domain::CanonicalJson;
use xagent_domain::run::{ArgumentRole, Executor};
use xagent_domain::tool::{Registration, ToolSource};

use super::Doors;
use super::accepted::{Accepted, Proven};
use super::extract::{Body_, Calling, Commanding, invalid};
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
    /// JSON Schema of what it gives back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_schema: Option<Value>,
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
    params(Commanding), request_body = Tool, responses(Recorded<Proven<Done>>, Command),
)]
pub async fn register(
    State(doors): State<Doors>,
    commanding: Commanding,
    Body_(tool): Body_<Tool>,
) -> Result<Accepted<Done>, Problem> {
    let calling = &commanding.calling;
    let schema = CanonicalJson::of_value(&tool.schema);
    let schema = schema.map_err(|error| calling.problem(invalid("/schema", &error.to_string())))?;
    let output_schema = tool.output_schema.as_ref().map(CanonicalJson::of_value).transpose();
    let output_schema =
        output_schema.map_err(|error| calling.problem(invalid("/output_schema", &error.to_string())))?;
    let registration = Registration {
        name: tool.name,
        description: tool.description,
        schema,
        output_schema,
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
    done.map(Accepted::recorded).map_err(|error| calling.problem(error))
}

/// A tool, and whether it can do anything on this server.
#[derive(Serialize, JsonSchema)]
struct ListedTool {
    #[serde(flatten)]
    tool: Tool,
    /// Why every call of it fails here.
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<String>,
}

/// The tools of a tenant.
#[derive(Serialize, JsonSchema)]
pub struct Tools {
    items: Vec<ListedTool>,
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
        output_schema: tool.output_schema.and_then(|schema| schema.value().ok()),
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
    let listed = |tool: Tool| {
        let builtin = tool.executor == Executor::Builtin;
        let unavailable = builtin.then(|| doors.kit.unavailable(&tool.name)).flatten();
        ListedTool { tool, unavailable }
    };
    Ok(Json(Tools { items: items.map(listed).collect() }))
}
