//! `/v1/upstreams`.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use xagent_commands::{Discovered, Discovery, Done, Trusted};
use xagent_domain::upstream::{Declaration, Reach};

use super::Doors;
use super::extract::{Body_, Calling};
use super::runs::Because;
use crate::problem::Problem;

/// An upstream MCP server, as it is declared and shown. Secrets are names.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    name: String,
    reach: Reach,
    #[serde(default = "four")]
    concurrency: u32,
    #[serde(default = "half_a_minute")]
    timeout_ms: u64,
}

fn four() -> u32 {
    4
}

fn half_a_minute() -> u64 {
    30_000
}

/// `POST /v1/upstreams`: declares an upstream of the caller's tenant. Its tools are registered by discovery.
pub async fn declare(
    State(doors): State<Doors>,
    calling: Calling,
    Body_(body): Body_<Upstream>,
) -> Result<(StatusCode, Json<Done>), Problem> {
    let Upstream { name, reach, concurrency, timeout_ms } = body;
    let declared = Declaration { name, reach, concurrency, timeout_ms };
    let done = doors.commands.declare_upstream(&calling.caller, declared).await;
    done.map(|done| (StatusCode::CREATED, Json(done))).map_err(|error| calling.problem(error))
}

/// A list of upstreams.
#[derive(Serialize)]
pub struct Upstreams {
    items: Vec<Upstream>,
}

/// `GET /v1/upstreams`: the upstreams of the caller's tenant.
pub async fn list(State(doors): State<Doors>, calling: Calling) -> Result<Json<Upstreams>, Problem> {
    let found = doors.commands.upstreams_of(&calling.caller).await.map_err(|error| calling.problem(error))?;
    let items = found.into_iter().map(|Declaration { name, reach, concurrency, timeout_ms }| Upstream {
        name,
        reach,
        concurrency,
        timeout_ms,
    });
    Ok(Json(Upstreams { items: items.collect() }))
}

/// What is to become of the tools an upstream offers.
#[derive(Deserialize)]
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
#[derive(Deserialize)]
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

/// `POST /v1/upstreams/{upstream}/discover`: registers what the upstream offers.
pub async fn discover(
    State(doors): State<Doors>,
    calling: Calling,
    Path(upstream): Path<String>,
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

/// `POST /v1/upstreams/{upstream}/withdraw`: none of its tools is called any more.
pub async fn withdraw(
    State(doors): State<Doors>,
    calling: Calling,
    Path(upstream): Path<String>,
    Body_(body): Body_<Because>,
) -> Result<Json<Done>, Problem> {
    let done = doors.commands.withdraw_upstream(&calling.caller, &upstream, body.reason).await;
    done.map(Json).map_err(|error| calling.problem(error))
}
