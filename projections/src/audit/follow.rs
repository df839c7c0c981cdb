//! Following the ledger into a trail: batch by batch, each one there or refused before the next is sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio_util::sync::CancellationToken;
use xagent_domain::Recorded;
use xagent_ledger::{Lease, Led, Ledger, lead};

use super::entry::Entry;
use super::measured;
use super::positions::{Position, Positions};
use super::stamp::Stamps;
use super::target::{AuditError, Sent, Target};

/// Events read at once.
const PAGE: u32 = 1000;
/// Bytes sent at once, about, before compression: well below what Loki takes in one request (4 MiB).
const BATCH_BYTES: usize = 1024 * 1024;
/// How often an idle trail looks at its lease and its position.
const WATCH: Duration = Duration::from_secs(1);
/// After a page that was not full more events are waited for, so that many small requests become few.
const LINGER: Duration = Duration::from_millis(200);
/// The first pause before a batch is sent again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// A refusal of this length tells enough.
const LONGEST_REASON: usize = 300;

/// Keeps one trail. Runs in every process; one of them sends.
pub struct AuditTrail<T> {
    ledger: Ledger,
    positions: Positions,
    target: T,
}

/// A trail that was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// Where it was.
    pub was: u64,
    /// Events that are sent again, or for the first time.
    pub events: u64,
}

impl<T: Target> AuditTrail<T> {
    /// From `ledger`, in the database at `database_url`, to `target`.
    pub fn new(ledger: Ledger, database_url: &str, target: T) -> Result<Self, AuditError> {
        Ok(Self { ledger, positions: Positions::connect(database_url)?, target })
    }

    /// Sends until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        lead(&self, &stop).await;
    }

    /// Sends a page, bounded in bytes, and keeps how far it came.
    async fn take(&self, lease: &Lease, at: &mut Position, page: &[Recorded]) -> Result<(), AuditError> {
        let (mut batch, mut bytes, mut stamps) = (Vec::new(), 0, at.stamps);
        for event in page {
            let entry = Entry::of(event, stamps.next(event))?;
            if bytes + entry.bytes() > BATCH_BYTES && !batch.is_empty() {
                self.batch(lease, at, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += entry.bytes();
            batch.push(entry);
        }
        self.batch(lease, at, batch).await
    }

    async fn batch(&self, lease: &Lease, at: &mut Position, batch: Vec<Entry>) -> Result<(), AuditError> {
        let Some(last) = batch.last() else { return Ok(()) };
        let to = Position { position: last.position, stamps: Stamps::after(last.at_ns) };
        let fit = self.fit(batch);
        self.deliver(lease, &fit).await?;
        self.positions.advance(T::NAME, at.position, to).await?;
        *at = to;
        Ok(())
    }

    /// What the target can take. The rest is counted and named, old events by the first and the last one.
    fn fit(&self, batch: Vec<Entry>) -> Vec<Entry> {
        let now_us = self.ledger.now_us();
        let (mut fit, mut unfit) = (Vec::with_capacity(batch.len()), BTreeMap::<&str, Vec<u64>>::new());
        for entry in batch {
            match self.target.unfit(&entry, now_us) {
                None => fit.push(entry),
                Some(reason) => unfit.entry(reason).or_default().push(entry.position),
            }
        }
        for (reason, positions) in unfit {
            measured::events(T::NAME, reason, positions.len());
            let (first, last) = (positions.first(), positions.last());
            tracing::warn!(to = T::NAME, reason, events = positions.len(), first, last, "audit.unfit");
        }
        fit
    }

    /// Brings entries there, in order. What is refused is halved until it is known which entries are.
    async fn deliver(&self, lease: &Lease, entries: &[Entry]) -> Result<(), AuditError> {
        let mut open = vec![entries];
        while let Some(part) = open.pop() {
            let Some(reason) = self.persevere(lease, part).await? else {
                measured::events(T::NAME, "pushed", part.len());
                continue;
            };
            match part {
                [entry] => {
                    measured::events(T::NAME, "refused", 1);
                    let reason: String = reason.chars().take(LONGEST_REASON).collect();
                    tracing::warn!(
                        to = T::NAME,
                        position = entry.position,
                        event_type = entry.event_type,
                        bytes = entry.line.len(),
                        reason,
                        "audit.refused"
                    );
                }
                _ => {
                    let (before, after) = part.split_at(part.len() / 2);
                    open.extend([after, before]);
                }
            }
        }
        Ok(())
    }

    /// Sends until there is an answer; gives the reason of a refusal.
    async fn persevere(&self, lease: &Lease, part: &[Entry]) -> Result<Option<String>, AuditError> {
        let mut in_a_row = 0;
        while !part.is_empty() {
            let begun = Instant::now();
            let sent = self.target.send(part).await;
            let outcome = match &sent {
                Sent::Stored => "stored",
                Sent::Refused(_) => "refused",
                Sent::Later(..) => "failed",
            };
            measured::push(T::NAME, outcome, begun.elapsed());
            let (reason, wait) = match sent {
                Sent::Stored => return Ok(None),
                Sent::Refused(reason) => return Ok(Some(reason)),
                Sent::Later(reason, wait) => (reason, wait),
            };
            in_a_row += 1;
            let pause = wait.unwrap_or_default().min(PAUSES.1).max(pause(in_a_row));
            tracing::warn!(to = T::NAME, reason, in_a_row, pause_ms = pause.as_millis(), "audit.push.again");
            tokio::time::sleep(pause).await;
            if !lease.is_held().await {
                return Err(AuditError::Lease);
            }
        }
        Ok(None)
    }
}

impl<T: Target> Led for AuditTrail<T> {
    const KEY: &'static str = T::READER;
    type Error = AuditError;

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    async fn work(&self, lease: &Lease, failures: &mut u32) -> Result<(), AuditError> {
        let mut at = self.positions.read(T::NAME).await?;
        crate::measured::begins(T::READER, at.position);
        let mut events = self.ledger.subscribe(at.position, PAGE);
        while lease.is_held().await {
            let page = events.next_within(WATCH).await?;
            let Some(last) = page.last() else {
                let found = self.positions.read(T::NAME).await?.position;
                if found != at.position {
                    return Err(AuditError::Moved { expected: at.position, found });
                }
                continue;
            };
            self.take(lease, &mut at, &page).await?;
            crate::measured::reached(T::READER, page.len(), last, self.ledger.now_us());
            *failures = 0;
            if page.len() < PAGE as usize {
                tokio::time::sleep(LINGER).await;
            }
        }
        Ok(())
    }
}

impl Rewound {
    /// Sets the trail `T` of a ledger back, so that the event at position `from` is the next one sent.
    pub async fn to<T: Target>(ledger: &Ledger, database_url: &str, from: u64) -> Result<Self, AuditError> {
        let (positions, head) = (Positions::connect(database_url)?, ledger.head().await?.position);
        if from > head + 1 {
            return Err(AuditError::Ahead { wanted: from, head });
        }
        let position = from.saturating_sub(1);
        let to = Position { position, stamps: Stamps::at(ledger, position).await? };
        let was = positions.read(T::NAME).await?.position;
        positions.advance(T::NAME, was, to).await?;
        Ok(Self { was, events: head - position })
    }
}

/// Grows with the failures in a row up to a bound, with jitter.
fn pause(in_a_row: u32) -> Duration {
    let longest = PAUSES.0.saturating_mul(1 << in_a_row.min(10)).min(PAUSES.1);
    longest.mul_f64(rand::rng().random_range(0.5..=1.0))
}
