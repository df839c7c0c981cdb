//! Aggregates kept folded in memory, so that a command on a warm stream costs no read. A guess, never the truth: whatever
//! is decided on it is committed only where the stream still is at its sequence.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use xagent_domain::{Decider, Tenant};

use crate::read::Fold;
use crate::snapshot::{Draft, Subject, is_due};
use crate::{Ledger, LedgerError, Loaded, Receipt, measured};

/// Aggregates kept at most.
const ENTRIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);
/// Bytes kept at most, as the states are written.
const BYTES: usize = 64 * 1024 * 1024;
/// An aggregate is weighed again when it has grown by this many events and by a quarter: weighing costs what it weighs.
const WEIGHED_EVERY: u64 = 64;
/// Bytes of an aggregate beside its state.
const OVERHEAD: usize = 512;

type Key = (&'static str, Tenant, String);

struct Entry {
    state: Arc<dyn Any + Send + Sync>,
    sequence: u64,
    bytes: usize,
    weighed_at: u64,
    /// Where its last snapshot is; 0 where there is none that is known.
    snapshot: u64,
    /// When a look into the ledger began that found the aggregate to be just this, where there was one.
    looked: Option<Instant>,
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
    fn found<D: Decider>(&mut self, key: Key, found: &Loaded<D>, begin: Instant) {
        match self.entries.peek_mut(&key) {
            Some(entry) if entry.sequence == found.sequence => entry.looked = Some(begin),
            Some(_) => {}
            None => {
                let (state, sequence) = (Arc::new(found.state.clone()), found.sequence);
                let (bytes, looked) = (weigh(&found.state), Some(begin));
                self.put(key, Entry { state, sequence, bytes, weighed_at: sequence, snapshot: 0, looked });
            }
        }
    }

    fn put(&mut self, key: Key, entry: Entry) {
        self.bytes += entry.bytes;
        if let Some((_, replaced)) = self.entries.push(key, entry) {
            self.bytes -= replaced.bytes;
        }
        while self.bytes > BYTES {
            let Some((_, oldest)) = self.entries.pop_lru() else { return };
            self.bytes -= oldest.bytes;
        }
        measured::cache_bytes(self.bytes);
    }
}

impl Ledger {
    /// The state of an aggregate as this process last knew it, or as the ledger has it where it is not known.
    pub async fn load_warm<D: Decider>(&self, tenant: &Tenant, aggregate_id: &str) -> Result<Loaded<D>, LedgerError> {
        let recalled = self.recall(tenant, aggregate_id);
        measured::recalled(recalled.is_some());
        match recalled {
            Some(Fold { state, sequence, .. }) => Ok(Loaded { state, sequence }),
            None => self.load(tenant, aggregate_id).await,
        }
    }

    /// As [`Self::load`], but where this process has looked less than `staleness` ago, what it found is what it is, even if
    /// that was nothing. For what is read with every command and seldom changes.
    pub async fn load_within<D: Decider>(
        &self,
        tenant: &Tenant,
        aggregate_id: &str,
        staleness: Duration,
    ) -> Result<Loaded<D>, LedgerError> {
        let key = (D::TYPE, tenant.clone(), aggregate_id.to_owned());
        let looked = self.0.cache.kept().entries.peek(&key).and_then(|entry| entry.looked);
        if looked.is_some_and(|looked| looked.elapsed() < staleness) {
            return self.load_warm(tenant, aggregate_id).await;
        }
        let begin = Instant::now();
        let loaded = self.load::<D>(tenant, aggregate_id).await?;
        self.0.cache.kept().found(key, &loaded, begin);
        Ok(loaded)
    }

    /// Keeps the state of an aggregate after an append to it, for whoever loads it next.
    pub fn keep<D: Decider>(&self, tenant: &Tenant, state: D, receipt: &Receipt) {
        let key = (D::TYPE, tenant.clone(), receipt.aggregate_id.clone());
        let snapshot = self.0.cache.kept().entries.peek(&key).map_or(0, |entry| entry.snapshot);
        let (sequence, leaf) = (receipt.sequence, receipt.leaf_hashes.last().copied());
        self.remember(tenant, &receipt.aggregate_id, Fold { state, sequence, leaf, snapshot, weight: None });
    }

    /// Forgets the state of an aggregate: another process has written to it.
    pub fn forget<D: Decider>(&self, tenant: &Tenant, aggregate_id: &str) {
        let mut kept = self.0.cache.kept();
        if let Some(forgotten) = kept.entries.pop(&(D::TYPE, tenant.clone(), aggregate_id.to_owned())) {
            kept.bytes -= forgotten.bytes;
        }
    }

    /// What this process knows of an aggregate.
    pub(crate) fn recall<D: Decider>(&self, tenant: &Tenant, aggregate_id: &str) -> Option<Fold<D>> {
        let key = (D::TYPE, tenant.clone(), aggregate_id.to_owned());
        let mut kept = self.0.cache.kept();
        let entry = kept.entries.get(&key)?;
        let (state, sequence, snapshot) = (Arc::clone(&entry.state), entry.sequence, entry.snapshot);
        drop(kept);
        let state = state.downcast_ref::<D>()?.clone();
        Some(Fold { state, sequence, leaf: None, snapshot, weight: None })
    }

    /// Keeps what was folded, and hands in a snapshot of it where one is due.
    pub(crate) fn remember<D: Decider>(&self, tenant: &Tenant, aggregate_id: &str, fold: Fold<D>) {
        let Fold { state, sequence, leaf, mut snapshot, weight } = fold;
        let state = Arc::new(state);
        if let Some(leaf) = leaf.filter(|_| is_due(sequence, snapshot, self.0.options.snapshot_every)) {
            let (tenant, aggregate_id, state) = (tenant.clone(), aggregate_id.to_owned(), Arc::clone(&state));
            let subject = Subject { tenant, aggregate_type: D::TYPE, aggregate_id, sequence };
            let write = Box::new(move || serde_json::to_vec(&*state));
            if self.0.snapshots.offer(Draft { subject, leaf, write }) {
                snapshot = sequence;
            }
        }
        let key = (D::TYPE, tenant.clone(), aggregate_id.to_owned());
        let before = self.0.cache.kept().entries.peek(&key).map(|entry| (entry.bytes, entry.weighed_at));
        let fresh = before.filter(|(_, at)| sequence < at + at / 4 + WEIGHED_EVERY);
        let known = fresh.or_else(|| weight.map(|bytes| (OVERHEAD + bytes, sequence)));
        let (bytes, weighed_at) = known.unwrap_or_else(|| (weigh(&*state), sequence));
        self.0.cache.kept().put(key, Entry { state, sequence, bytes, weighed_at, snapshot, looked: None });
    }
}

fn weigh<D: Decider>(state: &D) -> usize {
    OVERHEAD + serde_json::to_vec(state).map_or(0, |text| text.len())
}
