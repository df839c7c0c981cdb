//! From events to rows: pure. A page of events in, the rows that are other than before out.
//!
//! What is folded is a run with whatever in it is still open; what has ended is written and forgotten.

mod calls;
mod decided;
mod run;
mod usage;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

use chrono::{DateTime, Utc};
use lru::LruCache;
use xagent_domain::access::AccessEvent;
use xagent_domain::bundle::BundleEvent;
use xagent_domain::run::RunEvent;
use xagent_domain::{Metadata, Recorded, read};

use super::rows::{ApprovalRow, DecisionRow, GoalRow, RunRow, SwitchRow, ToolCallRow};
use decided::decision;
pub(crate) use decided::decision_row;
pub(super) use run::RunState;
use usage::UsageDeltas;

/// Runs that are remembered between pages.
const REMEMBERED: usize = 4096;

/// Characters of a name, and of a path or host, that are kept: an index takes no more.
const NAME: usize = 200;
const RESOURCE: usize = 600;

/// The beginning of a text, where it is too long for an index.
fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// Tenant and id of a run.
pub(super) type RunKey = (String, String);

/// The rows that a page of events made or changed.
#[derive(Default)]
pub(super) struct Changes {
    pub runs: Vec<RunRow>,
    pub goals: Vec<GoalRow>,
    pub decisions: Vec<DecisionRow>,
    pub calls: Vec<ToolCallRow>,
    pub approvals: Vec<ApprovalRow>,
    /// What is to be added to the counts there are.
    pub usage: UsageDeltas,
    pub switches: Vec<SwitchRow>,
    /// Events that this version cannot read.
    pub unreadable: i64,
    /// Tool calls that started without an allow before them.
    pub unallowed: u64,
}

/// Runs as the last page left them.
pub(super) struct Fold {
    runs: LruCache<RunKey, RunState>,
}

/// An event on its way into rows.
pub(super) struct Seen<'a> {
    pub recorded: &'a Recorded,
    pub at: DateTime<Utc>,
    pub sequence: i64,
    pub position: i64,
}

impl<'a> Seen<'a> {
    fn of(recorded: &'a Recorded) -> Self {
        Self {
            recorded,
            at: DateTime::from_timestamp_micros(recorded.recorded_at_us).unwrap_or_default(),
            sequence: i64::try_from(recorded.sequence).unwrap_or(i64::MAX),
            position: i64::try_from(recorded.position).unwrap_or(i64::MAX),
        }
    }

    fn tenant(&self) -> String {
        self.recorded.tenant.to_string()
    }

    fn metadata(&self) -> Metadata {
        serde_json::from_str(&self.recorded.metadata).unwrap_or_default()
    }
}

impl Fold {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self { runs: LruCache::new(NonZeroUsize::new(REMEMBERED).unwrap_or(NonZeroUsize::MIN)) }
    }

    /// Forgets what it knows: the tables are not where it thought.
    pub fn forget(&mut self) {
        self.runs.clear();
    }

    /// The runs that have to be known before `events` can be folded, and are not.
    pub fn unknown(&self, events: &[Recorded]) -> Vec<RunKey> {
        let mut first = BTreeMap::new();
        for event in events.iter().filter(|event| event.aggregate_type == "run") {
            first.entry((event.tenant.as_str(), event.aggregate_id.as_str())).or_insert(event.sequence);
        }
        let older = first.into_iter().filter(|(_, sequence)| *sequence > 1);
        let keys = older.map(|((tenant, run), _)| (tenant.to_owned(), run.to_owned()));
        keys.filter(|key| !self.runs.contains(key)).collect()
    }

    /// The rows that `events` make or change. `loaded` are the runs that were not known.
    pub fn fold(&mut self, events: &[Recorded], loaded: HashMap<RunKey, RunState>) -> Changes {
        let (mut changes, mut runs) = (Changes::default(), loaded);
        for recorded in events {
            let seen = Seen::of(recorded);
            let readable = match recorded.aggregate_type.as_str() {
                "run" => self.fold_run(&seen, &mut runs, &mut changes),
                "bundle" => fold_bundle(&seen, &mut changes),
                _ => fold_decision(&seen, &mut changes),
            };
            if !readable {
                tracing::error!(
                    position = recorded.position,
                    event_type = recorded.event_type,
                    "view.tables.unreadable"
                );
                changes.unreadable += 1;
            }
        }
        for (key, mut state) in runs {
            state.give(&mut changes);
            self.runs.put(key, state);
        }
        changes
    }

    fn fold_run(&mut self, seen: &Seen<'_>, runs: &mut HashMap<RunKey, RunState>, changes: &mut Changes) -> bool {
        let event = seen.recorded;
        let Ok(fact) = read::<RunEvent>(&event.event_type, &event.event_version, &event.payload) else { return false };
        let key = (seen.tenant(), event.aggregate_id.clone());
        let known = &mut self.runs;
        let state = runs.entry(key).or_insert_with_key(|key| known.pop(key).unwrap_or_default());
        state.apply(seen, &fact, changes);
        true
    }
}

/// A decision that belongs to no run. All aggregates record it alike.
fn fold_decision(seen: &Seen<'_>, changes: &mut Changes) -> bool {
    let event = seen.recorded;
    if event.event_type != "DecisionMade" {
        return true;
    }
    match read(&event.event_type, &event.event_version, &event.payload) {
        Ok(AccessEvent::DecisionMade(made)) => {
            let row = decision(seen, &made, None);
            changes.usage.decided(seen, &row);
            changes.decisions.push(row);
            true
        }
        Ok(AccessEvent::CommandRefused { .. } | AccessEvent::RequestsRefused { .. }) | Err(_) => false,
    }
}

fn fold_bundle(seen: &Seen<'_>, changes: &mut Changes) -> bool {
    let event = seen.recorded;
    if event.event_type != "BundleActivated" {
        return fold_decision(seen, changes);
    }
    match read(&event.event_type, &event.event_version, &event.payload) {
        Ok(BundleEvent::BundleActivated { digest, previous, rolled_back }) => {
            changes.switches.push(SwitchRow {
                tenant: seen.tenant(),
                bundle: digest.to_string(),
                previous: previous.map(|digest| digest.to_string()),
                rolled_back,
                switched_by: seen.metadata().actor,
                switched_at: seen.at,
                position: seen.position,
            });
            true
        }
        _ => false,
    }
}
