//! `/v1/api-keys`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_commands::{Done, IssuedKey, KeyRequest};
use xagent_domain::ApiKeyId;
use xagent_domain::api_key::{ApiKey, KeyStatus};

use super::Doors;
use super::accepted::{Accepted, Proven};
use super::extract::{Body_, Calling, Commanding, Creating, Id, whole};
use super::openapi::{Command, Query, Recorded, Shown, described};
use super::runs::Because;
use crate::problem::Problem;

/// What a key is to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What people call it.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Scopes it grants; its issuer must have them.
    #[serde(default)]
    #[schemars(length(max = 100), inner(regex(pattern = r"^[!-~]{1,200}$")))]
    scopes: BTreeSet<String>,
    /// Roles it grants; its issuer must have them.
    #[serde(default)]
    #[schemars(length(max = 100), inner(regex(pattern = r"^[!-~]{1,200}$")))]
    roles: BTreeSet<String>,
    /// For how long, in seconds.
    #[serde(deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 31_622_400))]
    lifetime_s: u32,
}

described!(NewKey);

/// Issue an api key
///
/// It acts as its issuer, with scopes and roles its issuer has. The answer is the only place the key is ever in.
#[utoipa::path(
    post, path = "/v1/api-keys", operation_id = "issue_api_key", tag = "Api keys",
    params(Creating), request_body = NewKey, responses(Recorded<Proven<IssuedKey>>, Command),
)]
pub async fn issue(
    State(doors): State<Doors>,
    Creating(commanding): Creating,
    Body_(wanted): Body_<NewKey>,
) -> Result<Response, Problem> {
    let calling = &commanding.calling;
    let NewKey { name, scopes, roles, lifetime_s } = wanted;
    let wanted = KeyRequest { name, scopes, roles, lifetime_s };
    let issued = doors.commands.issue_key(&calling.caller, wanted).await;
    let issued = issued.map_err(|error| calling.problem(error))?;
    let mut response = Accepted::recorded(issued).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A key in a list, without its secret, which nobody has but its holder.
#[derive(Serialize, JsonSchema)]
pub struct ListedKey {
    key: ApiKeyId,
    name: String,
    status: KeyStatus,
    principal: String,
    scopes: BTreeSet<String>,
    roles: BTreeSet<String>,
    /// Microseconds since 1970.
    issued_at_us: i64,
    /// Microseconds since 1970.
    expires_at_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_because: Option<String>,
}

/// A list of keys.
#[derive(Serialize, JsonSchema)]
pub struct Keys {
    items: Vec<ListedKey>,
}

/// List api keys
///
/// Every key ever issued in the caller's tenant, the oldest first. No secret is among what is listed.
#[utoipa::path(
    get, path = "/v1/api-keys", operation_id = "list_api_keys", tag = "Api keys", responses(Shown<Keys>, Query),
)]
pub async fn list(State(doors): State<Doors>, calling: Calling) -> Result<Json<Keys>, Problem> {
    let allowed = doors.commands.authorise_read(&calling.caller, "read.api_keys", "api_key", "").await;
    allowed.map_err(|error| calling.problem(error))?;
    let keys = doors.commands.keys(&calling.caller.principal.tenant).await;
    let keys = keys.map_err(|error| calling.problem(error))?;
    let now_us = doors.commands.executor().now_us();
    Ok(Json(Keys { items: keys.iter().filter_map(|key| listed(key, now_us)).collect() }))
}

fn listed(key: &ApiKey, now_us: i64) -> Option<ListedKey> {
    let (grant, status) = (key.grant()?.clone(), key.status(now_us)?);
    Some(ListedKey {
        key: grant.key,
        name: grant.name,
        status,
        principal: grant.principal,
        scopes: grant.scopes,
        roles: grant.roles,
        issued_at_us: grant.issued_at_us,
        expires_at_us: grant.expires_at_us,
        revoked_because: key.revoked().map(str::to_owned),
    })
}

/// Revoke an api key
///
/// It is good for nothing from here on, at every server.
#[utoipa::path(
    post, path = "/v1/api-keys/{key}/revoke", operation_id = "revoke_api_key", tag = "Api keys",
    params(Commanding), request_body = Because, responses(Shown<Proven<Done>>, Command),
)]
pub async fn revoke(
    State(doors): State<Doors>,
    commanding: Commanding,
    Id(key): Id<ApiKeyId>,
    Body_(body): Body_<Because>,
) -> Result<Accepted<Done>, Problem> {
    let calling = &commanding.calling;
    let done = doors.commands.revoke_key(&calling.caller, key, body.reason).await;
    done.map(Accepted::done).map_err(|error| calling.problem(error))
}
