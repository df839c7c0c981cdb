//! Queuing: one process offers the runs that the ledger's wakes tell of, from where the queue's mark is, and sweeps for
//! those that nobody has queued.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use xagent_domain::run::{Next, Run};
use xagent_ledger::{Lease, Led, Ledger, LedgerError};

use super::follow::wakes;
use super::intake::Health;
use super::roster::{News, Roster};
use super::{Offer, QueueError, Waiting, WorkQueue, WorkerOptions};

/// Runs looked at in one sweep.
const LOOKED_AT: usize = 500;

/// Fills the queue.
pub(super) struct Queuer<Q: WorkQueue> {
    ledger: Ledger,
    queue: Arc<Q>,
    health: Arc<Health>,
    /// How often runs are looked for that nobody has queued, and how long a run is left alone before.
    sweep: Duration,
    /// Kept from one leadership to the next, so that the ledger is read once.
    roster: Mutex<Roster>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum QueuerError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("the queue's mark is at {found:?}, not at {left}: it was emptied, or another process fills it")]
    Emptied { found: Option<u64>, left: u64 },
}

impl<Q: WorkQueue> Queuer<Q> {
    pub fn new(ledger: Ledger, queue: Arc<Q>, health: Arc<Health>, options: &WorkerOptions) -> Self {
        let roster = Mutex::new(Roster::for_sweeps(options.limits.clone()));
        Self { ledger, queue, health, sweep: options.sweep, roster }
    }

    async fn fill(&self, lease: &Lease, failures: &mut u32) -> Result<(), QueuerError> {
        let mut roster = self.roster.lock().await;
        let mut tail = self.ledger.tail();
        self.catch_up(&mut roster).await?;
        let mark = self.queue.mark().await?;
        self.offer(roster.woken_after(mark.unwrap_or(0)), Offer::Missing).await?;
        self.queue.set_mark(roster.position).await?;
        self.health.offered(true);
        let mut swept = Instant::now();
        while lease.is_held().await {
            let before = roster.position;
            let news = roster.read(wakes(&self.ledger, before, &mut tail).await?);
            let woken = news.iter().filter_map(|news| match news {
                News::Woken(key) => Some(roster.waiting(key)),
                News::Ended(_) => None,
            });
            self.offer(woken.collect(), Offer::Anew).await?;
            if roster.position > before {
                self.queue.set_mark(roster.position).await?;
            } else {
                self.still_there(roster.position).await?;
            }
            if swept.elapsed() >= self.sweep {
                self.sweep(&mut roster).await?;
                swept = Instant::now();
            }
            *failures = 0;
        }
        Ok(())
    }

    async fn catch_up(&self, roster: &mut Roster) -> Result<(), QueuerError> {
        loop {
            let page = self.ledger.wakes(roster.position, 1000).await?;
            if page.is_empty() {
                return Ok(());
            }
            roster.read(page);
        }
    }

    async fn offer(&self, waiting: Vec<Waiting>, how: Offer) -> Result<(), QueuerError> {
        if !waiting.is_empty() {
            self.queue.offer(&waiting, how).await?;
        }
        Ok(())
    }

    /// A queue that was emptied is filled again.
    async fn still_there(&self, left: u64) -> Result<(), QueuerError> {
        match self.queue.mark().await? {
            Some(mark) if mark == left => Ok(()),
            found => Err(QueuerError::Emptied { found, left }),
        }
    }

    /// Offers runs that have something to do and are not in the queue, for whatever reason.
    async fn sweep(&self, roster: &mut Roster) -> Result<(), QueuerError> {
        let mut missing = Vec::new();
        for key in roster.unlooked(self.sweep, LOOKED_AT) {
            let run = self.ledger.load::<Run>(&key.tenant, &key.run).await?.state;
            let rests = matches!(run.next(), Next::Wait | Next::Done);
            roster.looked_at(&key, rests);
            if !rests {
                missing.push(roster.waiting(&key));
            }
        }
        self.offer(missing, Offer::Missing).await
    }
}

impl<Q: WorkQueue> Led for Queuer<Q> {
    const KEY: &'static str = "work/queue";
    type Error = QueuerError;

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    async fn work(&self, lease: &Lease, failures: &mut u32) -> Result<(), QueuerError> {
        if !self.queue.is_up() {
            return Ok(());
        }
        let filled = self.fill(lease, failures).await;
        // While this process leads and cannot queue the runs, it walks them.
        self.health.offered(!matches!(filled, Err(QueuerError::Queue(_))));
        filled
    }
}
