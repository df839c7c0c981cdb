//! `/v1/bundles`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xagent_commands::{Activated, Done, Published};
use xagent_domain::Digest;
use xagent_domain::bundle::{BundleStatus, Bundles, Manifest, Publication};
use xagent_domain::governed::Refusal;
use xagent_policies::{Bundle, BundleError, Files, Trust};

use super::Doors;
use super::accepted::{Accepted, Proven};
use super::extract::{Body_, Calling, Commanding, Id, invalid, is_json, parse, read};
use super::openapi::{Bytes, Command, Lookup, Publication as Publishing, Query, Recorded, Shown, described};
use super::runs::{Because, Nothing};
use crate::problem::{Problem, ProblemType};

/// A larger archive is refused.
const LARGEST_ARCHIVE: usize = 8 * 1024 * 1024;

/// A bundle by its parts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BundleParts {
    /// Rego modules by path.
    modules: BTreeMap<String, String>,
    /// The data document.
    data: Value,
}

/// Publish a bundle
///
/// Checks it, runs its tests, and keeps it. The body is an OPA bundle (`application/gzip`), or JSON with its modules and data.
#[utoipa::path(
    post, path = "/v1/bundles", operation_id = "publish_bundle", tag = "Policies",
    params(Commanding),
    request_body(content((BundleParts = "application/json"), (Bytes = "application/gzip"))),
    responses(Recorded<Proven<Published>>, Publishing),
)]
pub async fn publish(
    State(doors): State<Doors>,
    commanding: Commanding,
    request: Request,
) -> Result<Accepted<Published>, Problem> {
    let calling = &commanding.calling;
    let bundle = received(request, &doors.bundle_trust).await.map_err(|problem| calling.problem(problem))?;
    let published = doors.commands.publish_bundle(&calling.caller, bundle).await;
    published.map(Accepted::recorded).map_err(|error| calling.problem(error))
}

async fn received(request: Request, trust: &Trust) -> Result<Bundle, Problem> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_archive = matches!(
        media_type,
        Some(
            "application/gzip"
                | "application/x-gzip"
                | "application/vnd.openpolicyagent.bundles"
                | "application/octet-stream"
        )
    );
    if is_archive {
        let bytes = read(request.into_body(), LARGEST_ARCHIVE).await?;
        let unpacked = tokio::task::spawn_blocking({
            let trust = trust.clone();
            move || Files::from_archive(&bytes).and_then(|files| files.bundle(&trust))
        });
        let bundle = unpacked.await.map_err(|error| invalid("", &format!("unpacking broke off: {error}")))?;
        return bundle.map_err(|error| unfit(&error));
    }
    is_json(request.headers())?;
    // What is refused is read first, so that its sender gets to read the answer.
    let bytes = read(request.into_body(), super::extract::LARGEST_BODY).await?;
    if matches!(trust, Trust::Keys(keys) if !keys.is_empty()) {
        let detail = "this server takes signed bundles only: send the archive that `opa build` signed";
        return Err(invalid("", detail));
    }
    let parts: BundleParts = parse(&bytes)?;
    Bundle::from_parts(parts.modules, &parts.data.to_string()).map_err(|error| unfit(&error))
}

fn unfit(error: &BundleError) -> Problem {
    match error {
        BundleError::TooLarge(_) => Problem::new(ProblemType::TooLarge, error.to_string()).at(""),
        BundleError::Data(_) => invalid("/data", &error.to_string()),
        BundleError::Signature(_) => invalid("/.signatures.json", &error.to_string()),
        BundleError::File { .. } | BundleError::Archive(_) | BundleError::Compile(_) => {
            invalid("/modules", &error.to_string())
        }
    }
}

described!(BundleParts, Back);

/// Activate a bundle
///
/// From here on it decides.
#[utoipa::path(
    post, path = "/v1/bundles/{digest}/activate", operation_id = "activate_bundle", tag = "Policies",
    params(Commanding), request_body = Nothing, responses(Shown<Proven<Activated>>, Command),
)]
pub async fn activate(
    State(doors): State<Doors>,
    commanding: Commanding,
    Id(digest): Id<Digest>,
    Body_(Nothing {}): Body_<Nothing>,
) -> Result<Accepted<Activated>, Problem> {
    let calling = &commanding.calling;
    doors.commands.activate_bundle(&calling.caller, digest).await.map(Accepted::done).map_err(|e| calling.problem(e))
}

/// Where to roll back to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Back {
    /// The bundle that was active before, as the caller saw it; whichever it is where it is left out.
    #[serde(default)]
    to: Option<Digest>,
}

/// Roll back to the bundle before
///
/// The bundle that was active before decides again.
#[utoipa::path(
    post, path = "/v1/bundles/rollback", operation_id = "roll_back_bundle", tag = "Policies",
    params(Commanding), request_body = Back, responses(Shown<Proven<Activated>>, Command),
)]
pub async fn roll_back(
    State(doors): State<Doors>,
    commanding: Commanding,
    Body_(back): Body_<Back>,
) -> Result<Accepted<Activated>, Problem> {
    let calling = &commanding.calling;
    doors.commands.roll_back_bundle(&calling.caller, back.to).await.map(Accepted::done).map_err(|e| calling.problem(e))
}

/// Retire a bundle
///
/// It never decides again.
#[utoipa::path(
    post, path = "/v1/bundles/{digest}/retire", operation_id = "retire_bundle", tag = "Policies",
    params(Commanding), request_body = Because, responses(Shown<Proven<Done>>, Command),
)]
pub async fn retire(
    State(doors): State<Doors>,
    commanding: Commanding,
    Id(digest): Id<Digest>,
    Body_(body): Body_<Because>,
) -> Result<Accepted<Done>, Problem> {
    let calling = &commanding.calling;
    let done = doors.commands.retire_bundle(&calling.caller, digest, body.reason).await;
    done.map(Accepted::done).map_err(|error| calling.problem(error))
}

/// A bundle in a list.
#[derive(Serialize, JsonSchema)]
pub struct ListedBundle {
    bundle: Digest,
    status: BundleStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_because: Option<String>,
    modules: usize,
    tests_passed: u32,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    publication: Option<Publication>,
}

/// A list of bundles.
#[derive(Serialize, JsonSchema)]
pub struct ListedBundles {
    active: Option<Digest>,
    previous: Option<Digest>,
    items: Vec<ListedBundle>,
}

fn listed(bundles: &Bundles, manifest: &Manifest) -> ListedBundle {
    ListedBundle {
        bundle: manifest.digest,
        status: bundles.status(&manifest.digest),
        retired_because: bundles.retired(&manifest.digest).map(str::to_owned),
        modules: manifest.modules.len(),
        tests_passed: manifest.tests_passed,
        publication: manifest.publication.clone(),
    }
}

/// List bundles
///
/// Every bundle ever published, which one decides, and which one a roll-back returns to.
#[utoipa::path(
    get, path = "/v1/bundles", operation_id = "list_bundles", tag = "Policies",
    responses(Shown<ListedBundles>, Query),
)]
pub async fn list(State(doors): State<Doors>, calling: Calling) -> Result<Json<ListedBundles>, Problem> {
    let bundles = readable(&doors, &calling).await?;
    let items = bundles.all().map(|manifest| listed(&bundles, manifest)).collect();
    let active = bundles.active().map(|manifest| manifest.digest);
    Ok(Json(ListedBundles { active, previous: bundles.previous(), items }))
}

/// A bundle with its content.
#[derive(Serialize, JsonSchema)]
pub struct ShownBundle {
    #[serde(flatten)]
    listed: ListedBundle,
    #[serde(rename = "content")]
    parts: BundleContent,
}

#[derive(Serialize, JsonSchema)]
struct BundleContent {
    modules: BTreeMap<String, String>,
    data: Value,
}

/// Read a bundle
///
/// What it is made of.
#[utoipa::path(
    get, path = "/v1/bundles/{digest}", operation_id = "read_bundle", tag = "Policies",
    responses(Shown<ShownBundle>, Lookup),
)]
pub async fn show(
    State(doors): State<Doors>,
    calling: Calling,
    Id(digest): Id<Digest>,
) -> Result<Json<ShownBundle>, Problem> {
    let bundles = readable(&doors, &calling).await?;
    let missing = || Refusal::NotFound { what: "published bundle", id: digest.to_string() };
    let manifest = bundles.published(&digest).ok_or_else(missing).map_err(|error| calling.problem(error))?;
    let bundle = doors.commands.bundle(manifest).await.map_err(|error| calling.problem(error))?;
    let data = serde_json::from_str(bundle.data()).unwrap_or_default();
    let parts = BundleContent { modules: bundle.modules().clone(), data };
    Ok(Json(ShownBundle { listed: listed(&bundles, manifest), parts }))
}

async fn readable(doors: &Doors, calling: &Calling) -> Result<Bundles, Problem> {
    let allowed = doors.commands.authorise_read(&calling.caller, "read.bundles", "bundle", "").await;
    allowed.map_err(|error| calling.problem(error))?;
    doors.commands.bundles().await.map_err(|error| calling.problem(error))
}
