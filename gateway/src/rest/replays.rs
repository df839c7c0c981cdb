//! `/v1/replays`: what history came to under other bundles, kept so that a change of policy can cite it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xagent_commands::{Done, ReplayReport};
use xagent_domain::bundle::{BundleEvent, Replayed};
use xagent_domain::{Digest, EngineIdentity, Metadata, Recorded as Event, Tenant, read};

use super::Doors;
use super::accepted::{Accepted, Proven};
use super::extract::{Body_, Calling, Commanding, Limit, Natural, Parameters};
use super::openapi::{Command, Query, Recorded, Shown, described};
use crate::problem::Problem;
use crate::recordings;
use crate::shown::unreadable;

/// Events read at once.
const PAGE: u32 = 500;

/// A report of `xagent what-if`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    /// The bundle that history was held to; it need not be published.
    bundle: Digest,
    /// The position after which history was looked at.
    after: Natural,
    /// The last position.
    to: Natural,
    /// The engine that decided again.
    engine: EngineIdentity,
    /// Decisions made again.
    decided: Natural,
    /// Decisions that could not be made again.
    #[serde(default)]
    undecided: Natural,
    /// Decisions that the engine alone changes.
    #[serde(default)]
    engine_changed: Natural,
    /// Decisions that the bundle changes, by class, for example `deny-to-allow`.
    changes: BTreeMap<String, Natural>,
    /// The whole report.
    report: serde_json::Map<String, Value>,
}

described!(Reported);

/// Keep a what-if report
///
/// What history came to under another bundle, as `xagent what-if --record` sends it: an event that the approval of a change
/// of policy can cite.
#[utoipa::path(
    post, path = "/v1/replays", operation_id = "record_replay", tag = "Policies",
    params(Commanding), request_body = Reported, responses(Recorded<Proven<Done>>, Command),
)]
pub async fn record(
    State(doors): State<Doors>,
    commanding: Commanding,
    Body_(body): Body_<Reported>,
) -> Result<Accepted<Done>, Problem> {
    let calling = &commanding.calling;
    let replay = ReplayReport {
        bundle: body.bundle,
        after: body.after.0,
        to: body.to.0,
        engine: body.engine,
        decided: body.decided.0,
        undecided: body.undecided.0,
        engine_changed: body.engine_changed.0,
        changes: body.changes.into_iter().map(|(class, count)| (class, count.0)).collect(),
        report: Value::Object(body.report),
    };
    let recorded = doors.commands.record_replay(&calling.caller, replay).await;
    recorded.map(Accepted::recorded).map_err(|error| calling.problem(error))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The sequence, in the stream of bundles, after which to begin.
    #[serde(default)]
    after: Natural,
    /// Reports at most.
    #[serde(default)]
    limit: Limit<20, 100>,
}

/// A report that was kept.
#[derive(Serialize, JsonSchema)]
pub struct KeptReplay {
    pub(crate) position: u64,
    pub(crate) sequence: u64,
    /// Microseconds since 1970, UTC.
    pub(crate) recorded_at_us: i64,
    /// Who recorded it.
    pub(crate) recorded_by: String,
    pub(crate) bundle: Digest,
    pub(crate) after: u64,
    pub(crate) to: u64,
    pub(crate) engine: EngineIdentity,
    pub(crate) decided: u64,
    pub(crate) undecided: u64,
    pub(crate) engine_changed: u64,
    pub(crate) changes: BTreeMap<String, u64>,
    /// The whole report; none where its text is not here any more.
    pub(crate) report: Option<serde_json::Map<String, Value>>,
}

/// Reports in the order they were recorded.
#[derive(Serialize, JsonSchema)]
pub struct KeptReplays {
    pub(crate) items: Vec<KeptReplay>,
    /// Where the next page begins; none at the end.
    pub(crate) next_after: Option<u64>,
}

/// List what-if reports
///
/// Those that were kept, the first one first.
#[utoipa::path(
    get, path = "/v1/replays", operation_id = "list_replays", tag = "Policies",
    params(Parameters<Asked>), responses(Shown<KeptReplays>, Query),
)]
pub async fn list(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<KeptReplays>, Problem> {
    after(&doors, &calling, asked.after.0, asked.limit.0).await.map(Json)
}

/// Reports after a sequence of the stream of bundles, where the law lets the caller read them.
pub(crate) async fn after(doors: &Doors, calling: &Calling, after: u64, limit: u32) -> Result<KeptReplays, Problem> {
    let allowed = doors.commands.authorise_read(&calling.caller, "read.replays", "bundle", "").await;
    allowed.map_err(|error| calling.problem(error))?;
    page(doors, after, limit).await.map_err(|problem| calling.problem(problem))
}

async fn page(doors: &Doors, after: u64, limit: u32) -> Result<KeptReplays, Problem> {
    let (ledger, tenant) = (doors.commands.ledger(), Tenant::default_tenant());
    let (mut items, mut at) = (Vec::new(), after);
    loop {
        let events = ledger.stream(&tenant, "bundle", "policies", at, PAGE).await?;
        let ended = events.len() < PAGE as usize;
        for event in events {
            at = event.sequence;
            if event.event_type != "ReplayRecorded" {
                continue;
            }
            items.push(kept(doors, event).await?);
            if items.len() as u64 >= u64::from(limit) {
                return Ok(KeptReplays { items, next_after: Some(at) });
            }
        }
        if ended {
            return Ok(KeptReplays { items, next_after: None });
        }
    }
}

async fn kept(doors: &Doors, event: Event) -> Result<KeptReplay, Problem> {
    let Ok(BundleEvent::ReplayRecorded(replayed)) = read(&event.event_type, &event.event_version, &event.payload)
    else {
        return Err(unreadable(&event));
    };
    let Replayed { bundle, after, to, engine, decided, undecided, engine_changed, changes, report } = *replayed;
    let text = match report.text {
        Some(text) => Some(text),
        None => recordings::blob(doors.commands.ledger(), &report.digest).await?,
    };
    let metadata: Metadata = serde_json::from_str(&event.metadata).unwrap_or_default();
    Ok(KeptReplay {
        position: event.position,
        sequence: event.sequence,
        recorded_at_us: event.recorded_at_us,
        recorded_by: metadata.actor,
        bundle,
        after,
        to,
        engine,
        decided,
        undecided,
        engine_changed,
        changes,
        report: text.and_then(|text| serde_json::from_str(&text).ok()),
    })
}
