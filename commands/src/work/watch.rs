//! A worker at work: it takes runs from the queue, or from the ledger while the queue is away, and walks them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use xagent_ledger::{Wake, lead};

use super::carry::{Carried, Carrier};
use super::drive::Driven;
use super::fair::Fair;
use super::follow::follow;
use super::intake::{Health, Intake, Placed};
use super::lanes::Lanes;
use super::queuer::Queuer;
use super::roster::{News, Roster};
use super::{RunKey, Walk, WorkQueue, Worker};
use crate::measured;

/// How often a worker looks whether the queue is away, or back.
const LOOK: Duration = Duration::from_millis(250);

/// What a worker knows of the runs with something to do.
struct Desk<Q: WorkQueue> {
    worker: Worker,
    carrier: Carrier<Q>,
    roster: Roster,
    lanes: Arc<Lanes>,
    health: Arc<Health>,
    /// Whether the queue is away, so that runs are taken from the ledger.
    alone: bool,
    /// The runs to be walked then, and the order they come in.
    ready: HashSet<RunKey>,
    line: Fair<RunKey>,
    /// Runs being walked.
    walking: HashMap<RunKey, Walking>,
    walks: JoinSet<Carried>,
    stop: CancellationToken,
    given_up: CancellationToken,
}

/// What is known of a run being walked.
struct Walking {
    /// Whether it was woken meanwhile.
    woken: bool,
    /// Told when the run has ended.
    ended: CancellationToken,
}

impl Worker {
    /// Works until `stop`, then lets the steps under way come to their end, for a while, and hands the runs over.
    pub async fn run<Q: WorkQueue>(self, queue: Arc<Q>, stop: CancellationToken) {
        let (lanes, health, limits) = (Arc::<Lanes>::default(), Arc::<Health>::default(), self.options.limits.clone());
        let ledger = self.commands.ledger().clone();
        let queuer = Queuer::new(ledger.clone(), Arc::clone(&queue), health.clone(), &self.options);
        let intake = Intake {
            queue: Arc::clone(&queue),
            lanes: lanes.clone(),
            places: self.places.clone(),
            limits: limits.clone(),
            health: health.clone(),
        };
        let (read, wakes) = mpsc::channel(4);
        let (sender, taken) = mpsc::channel(1);
        let leading = stop.clone();
        let parts = [
            tokio::spawn(follow(ledger, read, stop.clone())),
            tokio::spawn(intake.run(sender, stop.clone())),
            tokio::spawn(async move { lead(&queuer, &leading).await }),
        ];
        let mut desk = Desk {
            carrier: Carrier { worker: self.clone(), queue, stop: stop.clone() },
            roster: Roster::new(limits),
            lanes,
            health,
            alone: false,
            ready: HashSet::new(),
            line: Fair::default(),
            walking: HashMap::new(),
            walks: JoinSet::new(),
            stop,
            given_up: CancellationToken::new(),
            worker: self,
        };
        desk.work(wakes, taken).await;
        desk.drain().await;
        for part in parts {
            // It has ended, or broke off and was told of by its panic.
            let _ended = part.await;
        }
    }
}

impl<Q: WorkQueue> Desk<Q> {
    async fn work(&mut self, mut wakes: mpsc::Receiver<Vec<Wake>>, mut taken: mpsc::Receiver<Placed<Q::Ticket>>) {
        let mut look = tokio::time::interval(LOOK);
        while !self.stop.is_cancelled() {
            self.hand_out();
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(carried) = self.walks.join_next() => self.carried(carried),
                Some(page) = wakes.recv() => self.woken(page),
                Some((taken, place)) = taken.recv() => self.take(taken, place),
                _ = look.tick() => {}
            }
            measured::walking(self.walking.len());
        }
        // What was taken last is nobody's.
        taken.close();
        while let Some((taken, _place)) = taken.recv().await {
            self.carrier.hand_over(&taken.waiting).await;
        }
    }

    async fn drain(&mut self) {
        let patience = self.worker.options.drain;
        let ended = async { while self.walks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!(patience_s = patience.as_secs(), "worker.drain.late");
            self.given_up.cancel();
            while self.walks.join_next().await.is_some() {}
        }
        measured::walking(0);
    }

    /// Takes runs from the ledger while the queue is away.
    fn hand_out(&mut self) {
        let alone = !(self.health.is_good() && self.carrier.queue.is_up());
        if alone != self.alone {
            self.alone = alone;
            self.ready.clear();
            self.line.clear();
            tracing::info!(from = if alone { "ledger" } else { "queue" }, "worker.takes_runs");
            if alone {
                let open: Vec<_> = self.roster.open().cloned().collect();
                open.into_iter().for_each(|key| self.ready(key));
            }
        }
        while self.alone && !self.line.is_empty() {
            let Ok(place) = self.worker.places.clone().try_acquire_owned() else { return };
            let Some(key) = self.line.pop() else { return };
            if !self.ready.remove(&key) {
                continue;
            }
            match self.walking.get_mut(&key) {
                Some(walking) => walking.woken = true,
                None => {
                    measured::taken_from_the_ledger();
                    let walk = self.walk(&key);
                    let (carrier, lane) = (self.carrier.clone(), self.roster.lane(&key));
                    self.walks.spawn(async move { carrier.carry_alone(walk, lane, place).await });
                }
            }
        }
    }

    fn ready(&mut self, key: RunKey) {
        if self.ready.insert(key.clone()) {
            let lane = self.roster.lane(&key);
            self.line.push(&lane.tenant, lane.priority, key);
        }
    }

    fn walk(&mut self, key: &RunKey) -> Walk {
        let ended = CancellationToken::new();
        self.walking.insert(key.clone(), Walking { woken: false, ended: ended.clone() });
        Walk::new(key.clone(), ended, self.stop.clone(), self.given_up.clone())
    }

    /// A run came by the queue.
    fn take(&mut self, taken: super::Taken<Q::Ticket>, place: OwnedSemaphorePermit) {
        let key = RunKey { tenant: taken.waiting.lane.tenant.clone(), run: taken.waiting.run.clone() };
        let carrier = self.carrier.clone();
        if let Some(walking) = self.walking.get_mut(&key) {
            walking.woken = true;
            // Whoever walks it looks again; if that fails, somebody else does.
            self.walks.spawn(async move { carrier.put_back_later(taken, place).await });
            return;
        }
        let walk = self.walk(&key);
        self.walks.spawn(async move { carrier.carry(walk, taken, place).await });
    }

    fn woken(&mut self, wakes: Vec<Wake>) {
        for news in self.roster.read(wakes) {
            match news {
                News::Ended(key) => {
                    self.ready.remove(&key);
                    if let Some(walking) = self.walking.get(&key) {
                        walking.ended.cancel();
                    }
                }
                News::Woken(key) => {
                    self.lanes.warm(&self.roster.lane(&key));
                    match self.walking.get_mut(&key) {
                        Some(walking) => walking.woken = true,
                        None if self.alone => self.ready(key),
                        None => {}
                    }
                }
            }
        }
    }

    fn carried(&mut self, carried: Result<Carried, JoinError>) {
        match carried {
            Ok(Carried::PutBack) => {}
            Ok(Carried::Walked(key, driven)) => {
                let woken = self.walking.remove(&key).is_some_and(|walking| walking.woken);
                if self.alone && (woken || driven != Driven::Rests) {
                    self.ready(key);
                }
            }
            Err(error) => {
                // Which run it was is not known: all are looked at again, by whoever may.
                tracing::error!(error = %error, "worker.walk.broke_off");
                let walking: Vec<_> = self.walking.drain().map(|(key, _)| key).collect();
                if self.alone {
                    walking.into_iter().for_each(|key| self.ready(key));
                }
            }
        }
    }
}
