//! Aggregates kept folded in memory, so that a command on a warm stream costs no read. A guess, never the truth: whatever
//! is decided on it is committed only where the stream still is at its sequence.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use xagent_domain::{Decider, Tenant};

use crate::{Ledger, LedgerError, Loaded};

/// Aggregates kept at most.
const ENTRIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);
/// Bytes kept at most, as the states are written.
const BYTES: usize = 64 * 1024 * 1024;
/// An aggregate is weighed again when it has grown by this many events and by a quarter: weighing costs what it weighs.
const WEIGHED_EVERY: u64 = 64;

type Key = (&'static str, Tenant, String);

struct Entry {
    state: Arc<dyn Any + Send + Sync>,
    sequence: u64,
    bytes: usize,
    weighed_at: u64,
}

/// The aggregates of one ledger.
pub(crate) struct Cache(Mutex<Kept>);

struct Kept {
    entries: LruCache<Key, Entry>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Kept { entries: LruCache::new(ENTRIES), bytes: 0 }))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, key: Key, entry: Entry) {
        self.bytes += entry.bytes;
        if let Some((_, replaced)) = self.entries.push(key, entry) {
            self.bytes -= replaced.bytes;
        }
        while self.bytes > BYTES {
            let Some((_, oldest)) = self.entries.pop_lru() else { return };
            self.bytes -= oldest.bytes;
        }
    }
}

impl Ledger {
    /// The state of an aggregate as this process last knew it, or as the ledger has it where it is not known.
    pub async fn load_warm<D: Decider>(&self, tenant: &Tenant, aggregate_id: &str) -> Result<Loaded<D>, LedgerError> {
        let key = (D::TYPE, tenant.clone(), aggregate_id.to_owned());
        let known = self.0.cache.kept().entries.get(&key).map(|entry| (Arc::clone(&entry.state), entry.sequence));
        if let Some((state, sequence)) = known
            && let Some(state) = state.downcast_ref::<D>()
        {
            return Ok(Loaded { state: state.clone(), sequence });
        }
        self.load(tenant, aggregate_id).await
    }

    /// Keeps the state of an aggregate after an append to it.
    pub fn keep<D: Decider>(&self, tenant: &Tenant, aggregate_id: &str, state: D, sequence: u64) {
        let key = (D::TYPE, tenant.clone(), aggregate_id.to_owned());
        let weight = self.0.cache.kept().entries.peek(&key).map(|entry| (entry.bytes, entry.weighed_at));
        let fresh = weight.filter(|(_, at)| sequence < at + at / 4 + WEIGHED_EVERY);
        let (bytes, weighed_at) = fresh.unwrap_or_else(|| (weigh(&state), sequence));
        let entry = Entry { state: Arc::new(state), sequence, bytes, weighed_at };
        self.0.cache.kept().put(key, entry);
    }

    /// Forgets the state of an aggregate: another process has written to it.
    pub fn forget<D: Decider>(&self, tenant: &Tenant, aggregate_id: &str) {
        let mut kept = self.0.cache.kept();
        if let Some(forgotten) = kept.entries.pop(&(D::TYPE, tenant.clone(), aggregate_id.to_owned())) {
            kept.bytes -= forgotten.bytes;
        }
    }
}

fn weigh<D: Decider>(state: &D) -> usize {
    512 + serde_json::to_vec(state).map_or(0, |text| text.len())
}
