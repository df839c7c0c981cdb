//! Carrying a run from where it was taken to where it rests: its ticket is kept while it is walked, and what is not at its
//! end goes back to the queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::drive::{Driven, Why};
use super::{Lane, Offer, RunKey, Taken, Waiting, Walk, WorkQueue, Worker};
use crate::measured;

/// How often a ticket is kept; others get the run when three were missed.
const KEEP: Duration = Duration::from_secs(1);
/// How long a run is left alone that nobody can walk now, at first.
const AGAIN: Duration = Duration::from_millis(250);
/// How often that is doubled.
const DOUBLED: u32 = 3;

/// What became of a task of a worker.
pub(super) enum Carried {
    /// A run was walked.
    Walked(RunKey, Driven),
    /// A run that is being walked here was put back.
    PutBack,
}

/// Carries runs.
pub(super) struct Carrier<Q: WorkQueue> {
    pub worker: Worker,
    pub queue: Arc<Q>,
    pub stop: CancellationToken,
}

impl<Q: WorkQueue> Clone for Carrier<Q> {
    fn clone(&self) -> Self {
        Self { worker: self.worker.clone(), queue: Arc::clone(&self.queue), stop: self.stop.clone() }
    }
}

impl<Q: WorkQueue> Carrier<Q> {
    /// Walks a run that came by the queue.
    pub async fn carry(self, walk: Walk, taken: Taken<Q::Ticket>, place: OwnedSemaphorePermit) -> Carried {
        let key = walk.key.clone();
        let driven = self.kept(&taken.ticket, self.worker.drive(walk)).await;
        match driven {
            Driven::Rests => self.queue.done(&taken.ticket).await,
            Driven::Again(why) => {
                drop(place);
                self.put_back(&taken, why).await;
            }
        }
        Carried::Walked(key, driven)
    }

    /// Walks a run that came by the ledger, while the queue is away.
    pub async fn carry_alone(self, walk: Walk, lane: Lane, place: OwnedSemaphorePermit) -> Carried {
        let key = walk.key.clone();
        let driven = self.worker.drive(walk).await;
        drop(place);
        if let Driven::Again(why) = driven {
            measured::put_back(why.as_str());
            let waiting = Waiting { lane, run: key.run.clone(), tries: 0 };
            match why {
                Why::Stops => self.hand_over(&waiting).await,
                _ => self.pause(why, 0).await,
            }
        }
        Carried::Walked(key, driven)
    }

    /// Puts back a run that is being walked in this process.
    pub async fn put_back_later(self, taken: Taken<Q::Ticket>, place: OwnedSemaphorePermit) -> Carried {
        drop(place);
        self.put_back(&taken, Why::Elsewhere).await;
        Carried::PutBack
    }

    async fn put_back(&self, taken: &Taken<Q::Ticket>, why: Why) {
        measured::put_back(why.as_str());
        self.kept(&taken.ticket, self.pause(why, taken.waiting.tries)).await;
        let tries = match why {
            Why::Elsewhere | Why::Trouble => taken.waiting.tries.saturating_add(1),
            Why::Limit | Why::Turn | Why::Stops => 0,
        };
        self.hand_over(&Waiting { tries, ..taken.waiting.clone() }).await;
    }

    /// Lets others have a run now. Where that fails they get it when its ticket is not kept any more.
    pub async fn hand_over(&self, waiting: &Waiting) {
        if let Err(error) = self.queue.offer(std::slice::from_ref(waiting), Offer::Anew).await {
            tracing::debug!(run = waiting.run, error = %error, "worker.run.not_put_back");
        }
    }

    async fn pause(&self, why: Why, tries: u32) {
        let pause = match why {
            Why::Turn | Why::Stops => return,
            Why::Limit => AGAIN,
            Why::Elsewhere | Why::Trouble => AGAIN * (1 << tries.min(DOUBLED)),
        };
        let jitter = pause.mul_f64(0.25 * rand::random::<f64>());
        tokio::select! { () = self.stop.cancelled() => {}, () = tokio::time::sleep(pause + jitter) => {} }
    }

    /// Does work while a ticket is kept.
    async fn kept<T>(&self, ticket: &Q::Ticket, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let mut beat = tokio::time::interval(KEEP);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // It was taken just now.
        beat.reset();
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = beat.tick() => self.queue.keep(ticket).await,
            }
        }
    }
}
