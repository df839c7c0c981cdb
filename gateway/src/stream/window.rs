//! The newest events, in memory, shared by all readers. The feed writes, readers look. Bounded in bytes.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::item::Item;
use super::reader::Trouble;

/// Events handed to a reader at once: so many, at most, does one that stands still keep alive.
pub const HANDFUL: usize = 16;

/// The newest events.
pub struct Window {
    recent: RwLock<Recent>,
    state: watch::Sender<State>,
    most_bytes: usize,
}

/// How far the feed has come.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The position of the last event in the window, or before it.
    pub head: u64,
    /// Why it cannot go on.
    pub trouble: Option<Trouble>,
}

#[derive(Default)]
struct Recent {
    items: VecDeque<Arc<Item>>,
    bytes: usize,
    /// The position that comes next; 0 while nobody feeds.
    next: u64,
}

/// What is behind a position.
pub enum Look {
    /// These, at least one.
    Items(VecDeque<Arc<Item>>),
    /// Nothing yet.
    Nothing,
    /// Events that are no longer in the window.
    Past,
}

impl Window {
    /// Holds so many bytes of events.
    pub fn new(most_bytes: usize) -> Self {
        Self { recent: RwLock::default(), state: watch::Sender::default(), most_bytes }
    }

    /// Begins anew, empty, behind position `head`.
    pub fn begin(&self, head: u64) {
        *self.write() = Recent { next: head + 1, ..Recent::default() };
        self.state.send_replace(State { head, trouble: None });
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.write() = Recent::default();
    }

    /// The next events, in order.
    pub fn push(&self, items: Vec<Arc<Item>>) {
        let Some(head) = items.last().map(|item| item.position) else { return };
        let mut recent = self.write();
        for item in items {
            recent.bytes += item.weight();
            recent.items.push_back(item);
        }
        recent.next = head + 1;
        while recent.bytes > self.most_bytes {
            let Some(oldest) = recent.items.pop_front() else { break };
            recent.bytes -= oldest.weight();
        }
        drop(recent);
        self.state.send_replace(State { head, trouble: None });
    }

    /// Tells who waits that nothing will come.
    pub fn troubled(&self, trouble: Trouble) {
        self.state.send_modify(|state| state.trouble = Some(trouble));
    }

    /// Where the feed is, to be waited on.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// What is behind position `after`.
    pub fn look(&self, after: u64) -> Look {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        if after + 1 >= recent.next {
            return Look::Nothing;
        }
        let first = recent.items.front().map_or(recent.next, |item| item.position);
        if after + 1 < first {
            return Look::Past;
        }
        let seen = usize::try_from(after + 1 - first).unwrap_or(usize::MAX);
        Look::Items(recent.items.iter().skip(seen).take(HANDFUL).cloned().collect())
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Recent> {
        self.recent.write().unwrap_or_else(PoisonError::into_inner)
    }
}
