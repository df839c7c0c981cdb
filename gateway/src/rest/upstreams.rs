//! `/v1/upstreams`.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_commands::{Discovered, Discovery, Done, Trusted};
use xagent_domain::upstream::{Declaration, Reach};

use super::Doors;
use super::accepted::{Accepted, Proven};
use super::extract::{Body_, Calling, Commanding, Id, whole};
use super::openapi::{Command, Query, Recorded, Shown, described};
use super::runs::Because;
use crate::problem::Problem;

/// An upstream MCP server, as it is declared. Secrets are names.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    name: String,
    reach: Reach,
    #[serde(default = "four", deserialize_with = "whole")]
    concurrency: u32,
    #[serde(default = "half_a_minute", deserialize_with = "whole")]
    timeout_ms: u64,
}

described!(Upstream, Discover);

fn four() -> u32 {
    4
}

fn half_a_minute() -> u64 {
    30_000
}

/// Declare an upstream MCP server
///
/// For the caller's tenant. Its tools are registered by discovery.
#[utoipa::path(
    post, path = "/v1/upstreams", operation_id = "declare_upstream", tag = "Tools",
    params(Commanding), request_body = Upstream, responses(Recorded<Proven<Done>>, Command),
)]
pub async fn declare(
    State(doors): State<Doors>,
    commanding: Commanding,
    Body_(body): Body_<Upstream>,
) -> Result<Accepted<Done>, Problem> {
    let calling = &commanding.calling;
    let Upstream { name, reach, concurrency, timeout_ms } = body;
    let declared = Declaration { name, reach, concurrency, timeout_ms };
    let done = doors.commands.declare_upstream(&calling.caller, declared).await;
    done.map(Accepted::recorded).map_err(|error| calling.problem(error))
}

/// An upstream MCP server, as it was declared. Secrets are names.
#[derive(Serialize, JsonSchema)]
pub struct ListedUpstream {
    name: String,
    reach: Reach,
    concurrency: u32,
    timeout_ms: u64,
}

/// A list of upstreams.
#[derive(Serialize, JsonSchema)]
pub struct Upstreams {
    items: Vec<ListedUpstream>,
}

/// List upstream MCP servers
///
/// Those of the caller's tenant.
#[utoipa::path(
    get, path = "/v1/upstreams", operation_id = "list_upstreams", tag = "Tools",
    responses(Shown<Upstreams>, Query),
)]
pub async fn list(State(doors): State<Doors>, calling: Calling) -> Result<Json<Upstreams>, Problem> {
    let found = doors.commands.upstreams_of(&calling.caller).await.map_err(|error| calling.problem(error))?;
    let items = found.into_iter().map(|Declaration { name, reach, concurrency, timeout_ms }| ListedUpstream {
        name,
        reach,
        concurrency,
        timeout_ms,
    });
    Ok(Json(Upstreams { items: items.collect() }))
}

/// What is to become of the tools an upstream offers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discover {
    /// Tools, by the upstream's names, that may describe themselves otherwise than they were registered.
    #[serde(default)]
    accept: BTreeSet<String>,
    /// What is said of tools, by the upstream's names; of the others, that they may do harm.
    #[serde(default)]
    tools: BTreeMap<String, Said>,
}

/// What is said of a tool.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    risk: String,
    #[serde(default)]
    idempotent: bool,
    #[serde(default = "yes")]
    consequential: bool,
    #[serde(default = "yes")]
    reads_untrusted: bool,
}

fn yes() -> bool {
    true
}

/// Register what an upstream offers
///
/// What is new is registered. What describes itself otherwise than it was registered is not called until it is accepted.
#[utoipa::path(
    post, path = "/v1/upstreams/{upstream}/discover", operation_id = "discover_tools", tag = "Tools",
    request_body = Discover, responses(Shown<Discovered>, Command),
)]
pub async fn discover(
    State(doors): State<Doors>,
    calling: Calling,
    Id(upstream): Id<String>,
    Body_(body): Body_<Discover>,
) -> Result<Json<Discovered>, Problem> {
    let trusted = |said: Said| {
        let Said { risk, idempotent, consequential, reads_untrusted } = said;
        Trusted { risk, idempotent, consequential, reads_untrusted }
    };
    let tools = body.tools.into_iter().map(|(name, said)| (name, trusted(said))).collect();
    let discovery = Discovery { accept: body.accept, tools };
    let discovered = doors.commands.discover(&calling.caller, &upstream, discovery).await;
    discovered.map(Json).map_err(|error| calling.problem(error))
}

/// Withdraw an upstream MCP server
///
/// None of its tools is called any more.
#[utoipa::path(
    post, path = "/v1/upstreams/{upstream}/withdraw", operation_id = "withdraw_upstream", tag = "Tools",
    params(Commanding), request_body = Because, responses(Shown<Proven<Done>>, Command),
)]
pub async fn withdraw(
    State(doors): State<Doors>,
    commanding: Commanding,
    Id(upstream): Id<String>,
    Body_(body): Body_<Because>,
) -> Result<Accepted<Done>, Problem> {
    let calling = &commanding.calling;
    let done = doors.commands.withdraw_upstream(&calling.caller, &upstream, body.reason).await;
    done.map(Accepted::done).map_err(|error| calling.problem(error))
}
