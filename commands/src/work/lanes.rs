//! Which lanes of the queue may have runs waiting: those something was heard of, and now and then all others.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Lane;
use super::fair::Fair;

/// The lanes a process knows.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
    warmed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// All of them, in the order they are looked at when nothing is heard.
    known: VecDeque<Lane>,
    met: HashSet<Lane>,
    /// Those that may have runs waiting.
    warm: Fair<Lane>,
    is_warm: HashSet<Lane>,
}

impl Lanes {
    /// Something may wait there.
    pub fn warm(&self, lane: &Lane) {
        self.state().warm(lane);
        self.warmed.notify_one();
    }

    /// Something may wait in the next `most` of them, of which nothing was heard.
    pub fn warm_some(&self, most: usize) {
        let mut state = self.state();
        for _ in 0..most.min(state.known.len()) {
            state.known.rotate_left(1);
            if let Some(lane) = state.known.back().cloned() {
                state.warm(&lane);
            }
        }
        drop(state);
        self.warmed.notify_one();
    }

    /// Waits until something may wait somewhere.
    pub async fn any(&self) {
        while self.state().warm.is_empty() {
            self.warmed.notified().await;
        }
    }

    /// The lane whose turn it is.
    pub fn next(&self) -> Option<Lane> {
        let mut state = self.state();
        let lane = state.warm.pop()?;
        state.is_warm.remove(&lane);
        Some(lane)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn warm(&mut self, lane: &Lane) {
        if self.met.insert(lane.clone()) {
            self.known.push_back(lane.clone());
        }
        if self.is_warm.insert(lane.clone()) {
            self.warm.push(&lane.tenant, lane.priority, lane.clone());
        }
    }
}
