//! Applying events to the views: strictly in position order, whole batches at once, each in one round trip where its runs are
//! warm.

use std::collections::BTreeMap;
use std::time::Duration;

use xagent_domain::run::Run;
use xagent_domain::{Recorded, Tenant};
use xagent_ledger::Ledger;

use super::cache::{Cache, RunKey};
use super::change::{Changes, Shelved};
use super::fold::{Runs, fold};
use super::memory::{expiry_ms, kept};
use super::store::WRITE;
use super::{RunView, RunViews, ViewError};

/// Events read from the ledger at once.
const PAGE: u32 = 500;
/// Views of runs that nothing happened to are forgotten after a week; the ledger still has them.
const EXPIRY_MS: i64 = 7 * 24 * 3_600_000;
/// What belongs to a tenant outlives its runs' views by a day: where Redis lacks room, it goes after them.
const EXPIRY_OF_TENANT_MS: i64 = EXPIRY_MS + 24 * 3_600_000;

/// When views end.
#[derive(Clone, Copy)]
pub(super) enum Lifetime {
    /// So long behind their last event.
    Recorded,
    /// All then, in milliseconds since 1970.
    Until(i64),
}

impl Lifetime {
    const fn end_ms(self, at_us: i64, expiry_ms: i64) -> i64 {
        match self {
            Self::Recorded => at_us / 1000 + expiry_ms,
            Self::Until(end_ms) => end_ms,
        }
    }
}

/// Writes one generation of the views, and knows the runs that it wrote last.
pub(super) struct Writer {
    views: RunViews,
    ledger: Ledger,
    lifetime: Lifetime,
    cache: Cache,
}

impl Writer {
    pub fn new(views: RunViews, ledger: Ledger, lifetime: Lifetime) -> Self {
        Self { views, ledger, lifetime, cache: Cache::new() }
    }

    /// Brings the views from where they are up to `target`, from the ledger. Returns where they are then.
    pub async fn catch_up(&mut self, target: u64) -> Result<u64, ViewError> {
        let mut position = self.views.position().await?;
        while position < target {
            // The views may be moved by another writer meanwhile, so they are followed from where they are.
            let events = self.ledger.subscribe(position, PAGE).next_within(Duration::ZERO).await?;
            if events.is_empty() {
                break;
            }
            position = self.apply(position, &events).await?;
        }
        Ok(position)
    }

    /// Applies the events that follow directly on `from`. Returns the views' position then, which another writer may have
    /// moved: what is known of runs is forgotten in this case, and after a failure.
    pub async fn apply(&mut self, from: u64, events: &[Recorded]) -> Result<u64, ViewError> {
        let Some(last) = events.last() else { return Ok(from) };
        let mut runs = self.runs(events).await?;
        let changes = fold(events, &mut runs);
        let (changes, lengths) = self.shelve(changes, &runs);
        let deadline_ms = self.lifetime.end_ms(last.recorded_at_us, EXPIRY_OF_TENANT_MS);
        let written = self.views.write((from, last.position), deadline_ms, &changes).await;
        if !matches!(written, Ok(true)) {
            self.cache.clear();
            return if written? { Ok(last.position) } else { self.views.position().await };
        }
        for ((key, view), length) in runs.into_iter().zip(lengths) {
            if let Some(view) = view {
                self.cache.put(key, view, length);
            }
        }
        Ok(last.position)
    }

    /// The runs that events are about, each as of the event before: remembered, from Redis, or from the ledger.
    async fn runs(&mut self, events: &[Recorded]) -> Result<Runs, ViewError> {
        let mut wanted: BTreeMap<RunKey, u64> = BTreeMap::new();
        for event in events.iter().filter(|event| event.aggregate_type == "run") {
            let key = (event.tenant.to_string(), event.aggregate_id.clone());
            wanted.entry(key).or_insert(event.sequence - 1);
        }
        let (mut runs, mut cold) = (Runs::new(), Vec::new());
        for (key, sequence) in wanted {
            let known = if sequence == 0 { Some(nothing()) } else { self.cache.take(&key, sequence) };
            match known {
                Some(view) => drop(runs.insert(key, Some(view))),
                None => cold.push((key, sequence)),
            }
        }
        let names: Vec<_> = cold.iter().map(|((tenant, run), _)| (tenant.clone(), format!("run:{run}"))).collect();
        let texts = if names.is_empty() { Vec::new() } else { self.views.texts(WRITE, &names).await? };
        for ((key, sequence), text) in cold.into_iter().zip(texts) {
            let view: Option<RunView> = text.and_then(|text| serde_json::from_str(&text).ok());
            let view = match view.filter(|view| view.sequence == sequence) {
                Some(view) => Some(view),
                None => self.load(&key, sequence).await?,
            };
            runs.insert(key, view);
        }
        Ok(runs)
    }

    async fn load(&self, (tenant, run): &RunKey, sequence: u64) -> Result<Option<RunView>, ViewError> {
        let Ok(tenant) = tenant.parse::<Tenant>() else { return Ok(None) };
        match self.ledger.load_at::<Run>(&tenant, run, sequence).await {
            Ok(loaded) => Ok(Some(RunView { sequence, state: loaded.state, ..nothing() })),
            Err(error) if error.is_unavailable() => Err(error.into()),
            Err(error) => {
                tracing::error!(run, error = %error, "view.run.unreadable");
                Ok(None)
            }
        }
    }

    /// Adds the runs themselves to the changes. Gives how long the JSON of each is.
    fn shelve(&self, mut changes: Changes, runs: &Runs) -> (Changes, Vec<usize>) {
        let now_ms = self.ledger.now_us() / 1000;
        let shelved = |text: Option<String>, deadline_ms: i64| match text {
            Some(text) if deadline_ms > now_ms => Shelved { text, deadline_ms },
            _ => Shelved::default(),
        };
        let mut lengths = Vec::with_capacity(runs.len());
        for ((tenant, run), view) in runs {
            let end_ms =
                |expiry_ms| view.as_ref().map_or(0, |view| self.lifetime.end_ms(view.updated_at_us, expiry_ms));
            let text = view.as_ref().and_then(|view| serde_json::to_string(view).ok());
            lengths.push(text.as_ref().map_or(0, String::len));
            let memory = shelved(view.as_ref().and_then(kept), end_ms(view.as_ref().map_or(0, expiry_ms)));
            changes.run(tenant, run, shelved(text, end_ms(EXPIRY_MS)), memory);
        }
        (changes, lengths)
    }
}

fn nothing() -> RunView {
    RunView { sequence: 0, position: 0, updated_at_us: 0, state: Run::default() }
}
