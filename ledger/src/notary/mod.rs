//! The notary: it signs the tree about every second in which the ledger grew, and at once when asked, and keeps what it
//! signed. Doors ask it; carrying checkpoints outside is the projections' work.

mod kept;
mod outside;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use xagent_domain::Digest;
use xagent_tree::{Checkpoint, Signer, Verifier};

pub use kept::{CheckpointKey, StoredCheckpoint};
pub use outside::Outside;

use crate::leader::{Led, lead};
use crate::{Lease, Ledger, LedgerError, measured};

const EVERY: Duration = Duration::from_secs(1);

/// Signs checkpoints. Runs in every process; one of them signs unasked. Cheap to clone.
#[derive(Clone)]
pub struct Notary(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    signer: Signer,
    /// Keys that signed before this one. Where they are at hand, they sign the first checkpoint of the new key too.
    old: Vec<Signer>,
    /// One signature at a time: who waited finds a checkpoint already there.
    turn: Mutex<()>,
}

impl Notary {
    /// Signs the tree of `ledger` with `signer`; `old` are the keys it takes over from.
    pub fn new(ledger: Ledger, signer: Signer, old: Vec<Signer>) -> Self {
        Self(Arc::new(Inner { ledger, signer, old, turn: Mutex::default() }))
    }

    /// Signs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        lead(&self, &stop).await;
    }

    /// A checkpoint of at least `size` events, signed now where there is none yet; `None` where the ledger has no so many
    /// events. Any process may ask: two of them sign the same text.
    pub async fn covering(&self, size: u64) -> Result<Option<StoredCheckpoint>, LedgerError> {
        let enough = |checkpoint: &StoredCheckpoint| checkpoint.size >= size;
        let latest = self.0.ledger.latest_checkpoint().await?.filter(enough);
        if latest.is_some() || !self.0.ledger.reaches(size).await? {
            return Ok(latest);
        }
        Ok(self.sign().await?.filter(enough))
    }

    /// The checkpoint of the present head; `None` while there are no events.
    async fn sign(&self) -> Result<Option<StoredCheckpoint>, LedgerError> {
        let _turn = self.0.turn.lock().await;
        let Inner { ledger, signer, .. } = &*self.0;
        let last = ledger.latest_checkpoint().await?;
        let (size, frontier) = ledger.head_frontier().await?;
        let whole = frontier.ok_or_else(|| tampered(size, "the parts of the head row contradict each other"))?;
        match &last {
            None if size == 0 => return Ok(None),
            Some(last) if last.size == size => return Ok(Some(last.clone())),
            Some(last) => self.follows(last, size).await?,
            None => {}
        }
        let root = whole.root();
        let note = signer.sign_with(&self.announcing(last.as_ref()), size, root);
        ledger
            .keep_checkpoint(StoredCheckpoint { size, note, verifier: signer.verifier().to_string() }, root)
            .await
            .map(Some)
    }

    /// A log must not sign what contradicts what it signed before (c2sp.org/tlog-checkpoint).
    async fn follows(&self, last: &StoredCheckpoint, size: u64) -> Result<(), LedgerError> {
        if last.size > size {
            return Err(tampered(last.size, "a tree of so many events was signed, and there are fewer"));
        }
        let opened = last.open().map_err(|error| tampered(last.size, &error.to_string()))?;
        let found = self.0.ledger.root_at(last.size).await?;
        if opened.root == found { Ok(()) } else { Err(tampered(last.size, "another tree of this size was signed")) }
    }

    /// The keys that sign beside ours: all that came before it, where ours is new.
    fn announcing(&self, last: Option<&StoredCheckpoint>) -> Vec<&Signer> {
        let key = self.0.signer.verifier().to_string();
        let Some(last) = last.filter(|last| last.verifier != key) else { return Vec::new() };
        match self.0.old.iter().any(|old| old.verifier().to_string() == last.verifier) {
            true => tracing::info!(old = %last.verifier, new = %key, "checkpoint.key.changed"),
            false => tracing::warn!(
                old = %last.verifier, new = %key, remedy = "give the old key with --checkpoint-old-key-file",
                "checkpoint.key.changed_unannounced"
            ),
        }
        self.0.old.iter().collect()
    }

    /// What checks the signatures of the keys at hand.
    fn verifiers(&self) -> Vec<Verifier> {
        std::iter::once(&self.0.signer).chain(&self.0.old).map(Signer::verifier).collect()
    }
}

impl Led for Notary {
    const KEY: &'static str = "checkpoints";
    type Error = LedgerError;

    fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    async fn work(&self, lease: &Lease, failures: &mut u32) -> Result<(), LedgerError> {
        let mut second = tokio::time::interval(EVERY);
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while lease.is_held().await {
            second.tick().await;
            let signed = self.sign().await.inspect_err(|error| {
                if matches!(error, LedgerError::Tampered { .. }) {
                    tracing::error!(error = %error, remedy = "run `xagent verify`", "checkpoint.refused");
                }
            })?;
            if let Some(checkpoint) = signed {
                measured::checkpoint(checkpoint.size);
            }
            *failures = 0;
        }
        Ok(())
    }
}

impl StoredCheckpoint {
    /// Checks it with the key it is kept with.
    fn open(&self) -> Result<Checkpoint, xagent_tree::CheckpointError> {
        self.verifier.parse().and_then(|key| Checkpoint::open(&self.note, &key))
    }

    fn says(&self, root: &Digest) -> bool {
        self.open().is_ok_and(|opened| opened.size == self.size && opened.root == *root)
    }
}

fn tampered(position: u64, detail: &str) -> LedgerError {
    LedgerError::Tampered { position, detail: format!("{detail}; nothing more is signed until it is cleared up") }
}
