//! The mirror: one leader carries the latest checkpoint outside. What is outside already is never written over by what
//! does not follow on it, for then the ledger was cut off, rewritten or replaced, and the outside is the only witness.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::DateTime;
use rand::Rng;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use xagent_ledger::{Clock, Lease, Led, Ledger, LedgerError, Notary, Outside, StoredCheckpoint, lead};

use super::{Place, PlaceError};

/// How often it looks for a new checkpoint, at least.
const EVERY: Duration = Duration::from_secs(1);
/// How long it waits after a failure, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often one text is tried before the round is given up.
const ATTEMPTS: u32 = 3;
/// The latest checkpoint.
const LATEST: &str = "checkpoint";

/// Carries checkpoints outside. Runs in every process that has a place; one of them carries.
pub struct CheckpointMirror {
    ledger: Ledger,
    notary: Notary,
    place: Place,
    clock: Arc<dyn Clock>,
    /// Rounds that failed since the start.
    failed: AtomicU64,
    /// What is known to be outside: the latest text, and names of texts that stay.
    outside: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    latest: Option<String>,
    kept: HashSet<String>,
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
enum MirrorError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the checkpoint kept at {place} does not fit this ledger: {verdict}")]
    Witness { place: String, verdict: Outside },
}

impl CheckpointMirror {
    /// From `ledger` to `place`; `notary` knows the keys.
    pub fn new(ledger: Ledger, notary: Notary, place: Place, clock: Arc<dyn Clock>) -> Self {
        Self { ledger, notary, place, clock, failed: AtomicU64::new(0), outside: Mutex::default() }
    }

    /// Mirrors until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        lead(&self, &stop).await;
    }

    /// Brings the latest checkpoint outside, where it is not there yet.
    async fn round(&self) -> Result<(), MirrorError> {
        let Some(latest) = self.ledger.latest_checkpoint().await? else { return Ok(()) };
        let mut known = self.outside.lock().await;
        if known.latest.as_ref() == Some(&latest.note) {
            return Ok(());
        }
        let there = self.patiently(|| self.place.read(LATEST)).await?;
        if let Some(there) = there.filter(|there| *there != latest.note) {
            self.fits(&there).await?;
        }
        self.keep_history(&mut known, &latest).await?;
        self.patiently(|| self.place.write(LATEST, &latest.note)).await?;
        known.latest = Some(latest.note);
        Ok(())
    }

    /// Whether the ledger, as it is now, follows on what is outside.
    async fn fits(&self, there: &str) -> Result<(), MirrorError> {
        match self.notary.judge(there).await? {
            Outside::Holds { .. } => Ok(()),
            verdict => Err(MirrorError::Witness { place: self.place.to_string(), verdict }),
        }
    }

    /// What stays outside for good: the first checkpoint of each hour, and the first of each key.
    async fn keep_history(&self, known: &mut Known, latest: &StoredCheckpoint) -> Result<(), MirrorError> {
        let hour = format!("checkpoint-{}", hour(self.clock.now_us()));
        let mut texts = vec![(hour, latest.note.clone())];
        if !known.kept.contains(&of_key(&latest.verifier)) {
            let keys = self.ledger.checkpoint_keys().await?;
            texts.extend(keys.into_iter().map(|key| (of_key(&key.verifier), key.first.note)));
        }
        for (name, text) in texts.into_iter().filter(|(name, _)| !known.kept.contains(name)).collect::<Vec<_>>() {
            self.patiently(|| self.place.keep(&name, &text)).await?;
            known.kept.insert(name);
        }
        Ok(())
    }

    /// A few attempts, with pauses that grow.
    async fn patiently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, PlaceError>
    where
        F: Future<Output = Result<T, PlaceError>>,
    {
        let mut failures = 0;
        loop {
            match attempt().await {
                Err(_) if failures + 1 < ATTEMPTS => {
                    failures += 1;
                    tokio::time::sleep(pause(Duration::from_millis(200), failures)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Tells of a failure; `in_a_row` is how many there were since the last success.
    fn tell(&self, error: &MirrorError, in_a_row: u32) {
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        match error {
            MirrorError::Witness { place, verdict } => tracing::error!(
                place, %verdict, failed,
                remedy = "keep that file, run `xagent verify --checkpoint` with it; move it away only once it is cleared up",
                "checkpoint.mirror.contradicts"
            ),
            error => tracing::warn!(place = %self.place, error = %error, in_a_row, failed, "checkpoint.mirror.failed"),
        }
    }
}

impl Led for CheckpointMirror {
    const KEY: &'static str = "checkpoint-mirror";
    type Error = LedgerError;

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A place that fails holds up nothing but itself.
    async fn work(&self, lease: &Lease, failures: &mut u32) -> Result<(), LedgerError> {
        let mut in_a_row = 0;
        // Another process may have led in between.
        *self.outside.lock().await = Known::default();
        while lease.is_held().await {
            *failures = 0;
            match self.round().await {
                Ok(()) => in_a_row = 0,
                Err(error) => {
                    in_a_row += 1;
                    self.tell(&error, in_a_row);
                }
            }
            tokio::time::sleep(if in_a_row == 0 { EVERY } else { pause(EVERY, in_a_row) }).await;
        }
        Ok(())
    }
}

/// Grows with the failures in a row up to a bound, with jitter.
fn pause(first: Duration, failures: u32) -> Duration {
    let longest = first.saturating_mul(1 << failures.min(6)).min(LONGEST_PAUSE);
    longest.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// The UTC hour of a time, as a part of a file name.
fn hour(now_us: i64) -> String {
    DateTime::from_timestamp_micros(now_us).unwrap_or_default().format("%Y-%m-%dT%HZ").to_string()
}

/// The name of a key's first checkpoint: `key-` and the key's hash.
fn of_key(verifier: &str) -> String {
    format!("key-{}", verifier.split('+').nth(1).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_what_stays_are_good_for_any_file_system() {
        assert_eq!(hour(1_790_000_000_000_000), "2026-09-21T14Z");
        assert_eq!(of_key("example.org/log+1a2b3c4d+AAAA+A"), "key-1a2b3c4d");
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        for failures in 1..1000 {
            let pause = pause(EVERY, failures);
            assert!(pause >= EVERY && pause <= LONGEST_PAUSE, "{pause:?} after {failures}");
        }
    }
}
