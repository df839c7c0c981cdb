//! Taking runs from the queue: as many as there are places, lane by lane in turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::lanes::Lanes;
use super::{Limits, Taken, WorkQueue};
use crate::measured;

/// How often lanes are looked at of which nothing is heard: what a dead worker had taken comes back in silence.
const LOOK: Duration = Duration::from_secs(1);
/// Lanes looked at each time.
const LOOKS: usize = 50;
/// How long a queue that is away is left alone.
const AWAY: Duration = Duration::from_millis(500);
/// A run that so many workers took and did not come back from is let go. If it is no accident, it comes back by the sweep,
/// and holds up the others no more often than that.
const DELIVERIES: u64 = 20;

/// Whether the queue can be relied on, as those who use it find.
#[derive(Debug)]
pub(super) struct Health {
    taken: AtomicBool,
    offered: AtomicBool,
}

/// A run and the place it is to be walked in.
pub(super) type Placed<T> = (Taken<T>, OwnedSemaphorePermit);

/// Takes runs from the queue.
pub(super) struct Intake<Q: WorkQueue> {
    pub queue: Arc<Q>,
    pub lanes: Arc<Lanes>,
    pub places: Arc<Semaphore>,
    pub limits: Arc<Limits>,
    pub health: Arc<Health>,
}

impl Default for Health {
    fn default() -> Self {
        Self { taken: AtomicBool::new(true), offered: AtomicBool::new(true) }
    }
}

impl Health {
    /// Whether runs come by the queue.
    pub fn is_good(&self) -> bool {
        self.taken.load(Ordering::Relaxed) && self.offered.load(Ordering::Relaxed)
    }

    /// Whether the queue answers those who take.
    pub fn took(&self, well: bool) {
        self.taken.store(well, Ordering::Relaxed);
    }

    /// Whether this process can offer runs, where it is the one that does.
    pub fn offered(&self, well: bool) {
        self.offered.store(well, Ordering::Relaxed);
    }
}

impl<Q: WorkQueue> Intake<Q> {
    /// Takes runs until `stop`.
    pub async fn run(self, taken: mpsc::Sender<Placed<Q::Ticket>>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.take_all(taken) => {}
            () = self.listen() => {}
        }
    }

    async fn take_all(&self, taken: mpsc::Sender<Placed<Q::Ticket>>) {
        loop {
            self.lanes.any().await;
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            if !self.queue.is_up() {
                drop(place);
                self.rest().await;
                continue;
            }
            let Some(lane) = self.lanes.next() else { continue };
            match self.queue.take(&lane, lane.agent.as_deref().and_then(|agent| self.limits.agent(agent))).await {
                Ok(found) => {
                    self.health.took(true);
                    let Some(found) = found else { continue };
                    // There may be more where it came from.
                    self.lanes.warm(&lane);
                    if let Some(found) = self.fit(found).await
                        && taken.send((found, place)).await.is_err()
                    {
                        return;
                    }
                }
                Err(error) => {
                    drop(place);
                    tracing::debug!(error = %error, "worker.queue.unavailable");
                    self.lanes.warm(&lane);
                    self.rest().await;
                }
            }
        }
    }

    async fn rest(&self) {
        self.health.took(false);
        tokio::time::sleep(AWAY).await;
    }

    /// Lets a run go that no worker comes back from.
    async fn fit(&self, taken: Taken<Q::Ticket>) -> Option<Taken<Q::Ticket>> {
        measured::taken(taken.waiting.lane.priority, taken.deliveries, taken.waited);
        if taken.deliveries <= DELIVERIES {
            return Some(taken);
        }
        let (run, deliveries) = (&taken.waiting.run, taken.deliveries);
        tracing::error!(run, deliveries, "worker.run.let_go");
        self.queue.done(&taken.ticket).await;
        None
    }

    /// Hears of offers, and looks around now and then.
    async fn listen(&self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => self.lanes.warm_some(LOOKS),
                offered = self.queue.offered() => match offered {
                    Ok(lane) => self.lanes.warm(&lane),
                    Err(error) => {
                        tracing::debug!(error = %error, "worker.queue.silent");
                        tokio::time::sleep(AWAY).await;
                    }
                },
            }
        }
    }
}
