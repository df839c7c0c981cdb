//! Finding work: the ledger's wakes, from the beginning at start, then as they come.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use xagent_ledger::{LedgerError, Tail, Wake};

use super::drive::Driven;
use super::{RunKey, Walk, Worker};
use crate::ambient::pause;
use crate::measured;

/// Wakes read at once.
const PAGE: u32 = 1000;
/// Runs another process holds, and runs that failed, are looked at again after this long.
const AGAIN: Duration = Duration::from_millis(500);

/// What is known of the runs with something to do.
#[derive(Default)]
struct Desk {
    position: u64,
    /// Runs to be walked.
    ready: HashSet<RunKey>,
    /// Runs being walked.
    walking: HashMap<RunKey, Walking>,
    walks: JoinSet<(RunKey, Driven)>,
    failures: u32,
}

/// What is known of a run being walked.
#[derive(Default)]
struct Walking {
    /// Whether it was woken meanwhile.
    woken: bool,
    /// Told when the run has ended.
    ended: CancellationToken,
}

impl Worker {
    /// Works until `stop`, then lets the steps under way come to their end.
    pub async fn run(self, stop: CancellationToken) {
        let mut desk = Desk::default();
        let mut tail = self.commands.ledger().tail();
        while !stop.is_cancelled() {
            self.hand_out(&mut desk, &stop);
            measured::runs(desk.ready.len(), desk.walking.len());
            tokio::select! {
                () = stop.cancelled() => break,
                Some(walked) = desk.walks.join_next() => desk.walked(walked),
                woken = self.wakes(desk.position, &mut tail) => match woken {
                    Ok(wakes) => desk.woken(wakes),
                    Err(error) => {
                        tracing::debug!(error = %error, "worker.wakes.unavailable");
                        desk.failures += 1;
                        tokio::time::sleep(pause(desk.failures, 1000)).await;
                    }
                },
            }
        }
        while desk.walks.join_next().await.is_some() {}
    }

    async fn wakes(&self, position: u64, tail: &mut Tail) -> Result<Vec<Wake>, LedgerError> {
        let wakes = self.commands.ledger().wakes(position, PAGE).await?;
        if wakes.is_empty() {
            let head = tail.wait_past(position, Duration::from_secs(1)).await?;
            let wakes = self.commands.ledger().wakes(position, PAGE).await?;
            return Ok(if wakes.is_empty() { vec![nothing_until(head)] } else { wakes });
        }
        Ok(wakes)
    }

    fn hand_out(&self, desk: &mut Desk, stop: &CancellationToken) {
        while desk.walking.len() < self.options.concurrency {
            let Some(key) = desk.ready.iter().find(|key| !desk.walking.contains_key(*key)).cloned() else { return };
            desk.ready.remove(&key);
            let ended = CancellationToken::new();
            desk.walking.insert(key.clone(), Walking { woken: false, ended: ended.clone() });
            let (worker, stop) = (self.clone(), stop.clone());
            desk.walks.spawn(async move {
                let driven = worker.drive(Walk::new(key.clone(), ended, stop.clone())).await;
                if driven == Driven::Later {
                    tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(AGAIN) => {} }
                }
                (key, driven)
            });
        }
    }
}

/// A wake for nobody: the ledger holds none up to `position`.
fn nothing_until(position: u64) -> Wake {
    let (tenant, aggregate_id, event_type) = (xagent_domain::Tenant::default_tenant(), String::new(), String::new());
    Wake { position, tenant, aggregate_id, event_type }
}

impl Desk {
    fn woken(&mut self, wakes: Vec<Wake>) {
        self.failures = 0;
        for wake in wakes {
            self.position = self.position.max(wake.position);
            let key = RunKey { tenant: wake.tenant, run: wake.aggregate_id };
            match wake.event_type.as_str() {
                "" => {}
                "RunCompleted" | "RunFailed" | "RunCancelled" => {
                    self.ready.remove(&key);
                    if let Some(walking) = self.walking.get(&key) {
                        walking.ended.cancel();
                    }
                }
                _ => match self.walking.get_mut(&key) {
                    Some(walking) => walking.woken = true,
                    None => {
                        self.ready.insert(key);
                    }
                },
            }
        }
    }

    fn walked(&mut self, walked: Result<(RunKey, Driven), tokio::task::JoinError>) {
        match walked {
            Ok((key, driven)) => {
                let woken = self.walking.remove(&key).is_some_and(|walking| walking.woken);
                if woken || driven == Driven::Later {
                    self.ready.insert(key);
                }
            }
            Err(error) => {
                tracing::error!(error = %error, "worker.walk.broke_off");
                self.ready.extend(self.walking.drain().map(|(key, _)| key));
            }
        }
    }
}
