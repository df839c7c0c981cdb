//! The record of one run: its events and its decisions. Each read is itself recorded.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_domain::governed::Refusal;
use xagent_domain::run::RunEvent;
use xagent_domain::{DecisionMade, Recorded, RunId, read};

use super::Doors;
use super::extract::{Calling, Id, Limit, Natural, Parameters};
use super::openapi::{Lookup, Shown};
use crate::problem::Problem;
use crate::shown::{ShownEvent, shown, unreadable};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Sequence after which the page begins.
    cursor: Option<Natural>,
    /// Events looked at, at most.
    #[serde(default)]
    limit: Limit<100, 1000>,
}

/// A decision with its place.
#[derive(Serialize, JsonSchema)]
pub struct ShownDecision {
    position: u64,
    sequence: u64,
    recorded_at_us: i64,
    #[serde(flatten)]
    made: Box<DecisionMade>,
}

/// A page.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Items<T> {
    pub(super) items: Vec<T>,
    /// Pass it as `cursor` for the next page.
    pub(super) next: Option<String>,
}

/// Read the events of a run
///
/// In order, from the ledger. The read itself is recorded.
#[utoipa::path(
    get, path = "/v1/runs/{run}/events", operation_id = "list_events", tag = "Runs",
    params(Parameters<Page>), responses(Shown<Items<ShownEvent>>, Lookup),
)]
pub async fn events(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Parameters(page): Parameters<Page>,
) -> Result<Json<Items<ShownEvent>>, Problem> {
    let (events, next) = recorded(&doors, &calling, "read.events", run, page.span()).await?;
    let items = events.into_iter().map(shown).collect::<Result<Vec<_>, _>>();
    Ok(Json(Items { items: items.map_err(|problem| problem.traced(&calling.trace))?, next }))
}

/// Read the decisions of a run
///
/// Each with input, bundle, engine and result. The read itself is recorded.
#[utoipa::path(
    get, path = "/v1/runs/{run}/decisions", operation_id = "list_decisions", tag = "Runs",
    params(Parameters<Page>), responses(Shown<Items<ShownDecision>>, Lookup),
)]
pub async fn decisions(
    State(doors): State<Doors>,
    calling: Calling,
    Id(run): Id<RunId>,
    Parameters(page): Parameters<Page>,
) -> Result<Json<Items<ShownDecision>>, Problem> {
    let (events, next) = recorded(&doors, &calling, "read.decisions", run, page.span()).await?;
    let decision = |event: &Recorded| match read(&event.event_type, &event.event_version, &event.payload) {
        Ok(RunEvent::DecisionMade(made)) => Ok(ShownDecision {
            position: event.position,
            sequence: event.sequence,
            recorded_at_us: event.recorded_at_us,
            made,
        }),
        _ => Err(unreadable(event)),
    };
    let items = events.iter().filter(|event| event.event_type == "DecisionMade").map(decision);
    let items = items.collect::<Result<Vec<_>, _>>().map_err(|problem| problem.traced(&calling.trace))?;
    Ok(Json(Items { items, next }))
}

impl Page {
    /// The sequence after which it begins, and events at most.
    fn span(&self) -> (u64, u32) {
        (self.cursor.map_or(0, |cursor| cursor.0), self.limit.0)
    }
}

/// The events of a run after a sequence, where the law lets the caller read them; and where the next ones begin.
pub(crate) async fn recorded(
    doors: &Doors,
    calling: &Calling,
    name: &str,
    run: RunId,
    (after, limit): (u64, u32),
) -> Result<(Vec<Recorded>, Option<String>), Problem> {
    let (tenant, id) = (&calling.caller.principal.tenant, run.to_string());
    let allowed = doors.commands.authorise_read(&calling.caller, name, "run", &id).await;
    allowed.map_err(|error| calling.problem(error))?;
    let events = doors.commands.ledger().stream(tenant, "run", &id, after, limit).await;
    let events = events.map_err(|error| calling.problem(error))?;
    if events.is_empty() && after == 0 {
        return Err(calling.problem(Refusal::NotFound { what: "run", id }));
    }
    let next = events.last().filter(|_| events.len() == limit as usize).map(|event| event.sequence.to_string());
    Ok((events, next))
}
