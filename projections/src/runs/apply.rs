//! Applying events to the view: strictly in position order, whole batches at once.

use std::collections::BTreeMap;
use std::time::Duration;

use xagent_domain::run::{Run, RunEvent};
use xagent_domain::{Decider, Recorded, Tenant, read};
use xagent_ledger::Ledger;

use super::store::Change;
use super::{RunView, RunViews, ViewError};
use crate::measured;

/// Events read from the ledger at once.
const PAGE: u32 = 500;

/// Brings the view from where it is up to `target`, from the ledger. Returns where it is then.
pub(super) async fn catch_up(views: &RunViews, ledger: &Ledger, target: u64) -> Result<u64, ViewError> {
    let mut position = views.position().await?;
    while position < target {
        // The view may be moved by another writer meanwhile, so it is followed from where it is.
        let events = ledger.subscribe(position, PAGE).next_within(Duration::ZERO).await?;
        if events.is_empty() {
            break;
        }
        position = apply(views, ledger, position, &events).await?;
    }
    Ok(position)
}

/// Applies the events that follow directly on `from`. Returns the view's position then, which another writer may have moved.
pub(super) async fn apply(views: &RunViews, ledger: &Ledger, from: u64, events: &[Recorded]) -> Result<u64, ViewError> {
    let Some(to) = events.last().map(|event| event.position) else { return Ok(from) };
    let mut by_run: BTreeMap<(&Tenant, &str), Vec<&Recorded>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.aggregate_type == "run") {
        by_run.entry((&event.tenant, &event.aggregate_id)).or_default().push(event);
    }
    let mut changes = Vec::with_capacity(by_run.len());
    for ((tenant, run), events) in by_run {
        changes.push(change(views, ledger, tenant, run, &events).await?);
    }
    if !views.apply(from, to, &changes).await? {
        return views.position().await;
    }
    if let Some(last) = events.last() {
        measured::reached("view/runs", events.len(), last, ledger.now_us());
    }
    Ok(to)
}

async fn change(
    views: &RunViews,
    ledger: &Ledger,
    tenant: &Tenant,
    run: &str,
    events: &[&Recorded],
) -> Result<Change, ViewError> {
    let started = events.iter().find(|event| event.event_type == "RunStarted").map(|event| event.position);
    let first = events.first().map_or(1, |event| event.sequence);
    let before = if first == 1 { Some(Run::default()) } else { stored(views, tenant, run, first - 1).await? };
    let view = match before {
        Some(state) => fold(state, events),
        None => from_ledger(ledger, tenant, run, events).await?,
    };
    Ok(Change { tenant: tenant.clone(), run: run.to_owned(), view, started })
}

/// The stored state, if it is exactly the one the events follow on.
async fn stored(views: &RunViews, tenant: &Tenant, run: &str, sequence: u64) -> Result<Option<Run>, ViewError> {
    match views.get(tenant, run).await {
        Ok(view) => Ok(view.filter(|view| view.sequence == sequence).map(|view| view.state)),
        Err(ViewError::Undecodable { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

fn fold(mut state: Run, events: &[&Recorded]) -> Option<RunView> {
    let last = events.last()?;
    for event in events {
        state.evolve(&read::<RunEvent>(&event.event_type, &event.event_version, &event.payload).ok()?);
    }
    Some(RunView { sequence: last.sequence, position: last.position, updated_at_us: last.recorded_at_us, state })
}

async fn from_ledger(
    ledger: &Ledger,
    tenant: &Tenant,
    run: &str,
    events: &[&Recorded],
) -> Result<Option<RunView>, ViewError> {
    let Some(last) = events.last() else { return Ok(None) };
    match ledger.load_at::<Run>(tenant, run, last.sequence).await {
        Ok(loaded) => Ok(Some(RunView {
            sequence: last.sequence,
            position: last.position,
            updated_at_us: last.recorded_at_us,
            state: loaded.state,
        })),
        Err(error) if error.is_unavailable() => Err(error.into()),
        Err(error) => {
            tracing::error!(run, error = %error, "view.run.unreadable");
            Ok(None)
        }
    }
}
