//! The tree above blocks of 256 events, as it follows from the events and as it follows from the stored nodes: on a ledger
//! that holds the two are one. Where they differ, the rest of the tree tells which of them is the old one. Pure.

use xagent_domain::Digest;
use xagent_tree::{Frontier, Subtree};

use super::fault::Rewritten;

/// Leaves under a node of the lowest stored level.
pub(super) const BLOCK: u64 = 256;
pub(super) const LEVEL: u8 = 8;

/// Both trees over whole blocks.
#[derive(Default)]
pub(super) struct Spine {
    events: Frontier,
    nodes: Frontier,
    /// A block's root is not known: nothing can be said of what is above it.
    lost: bool,
    events_confirmed: bool,
    nodes_confirmed: bool,
}

/// A completed node of a stored level above the lowest.
pub(super) struct Completed {
    pub subtree: Subtree,
    pub by_events: Digest,
    pub by_nodes: Digest,
}

/// What two trees say of a hash that was kept.
pub(super) enum Verdict {
    Fits,
    Differs(Digest),
    /// Too much is missing.
    Unknown,
}

impl Spine {
    /// Whole blocks so far.
    pub(super) fn blocks(&self) -> u64 {
        self.events.size()
    }

    /// Adds a block, with its root as its events give it and as its node says; returns the upper nodes it completes.
    pub(super) fn push(&mut self, by_events: Option<Digest>, by_node: Option<Digest>) -> Vec<Completed> {
        let nothing = Digest::from_bytes([0; 32]);
        self.lost |= by_events.or(by_node).is_none();
        let (events, node) = (by_events.or(by_node).unwrap_or(nothing), by_node.or(by_events).unwrap_or(nothing));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        self.events.push(events, |subtree, root| ours.push((subtree, root)));
        self.nodes.push(node, |_, root| theirs.push(root));
        let stored = ours
            .into_iter()
            .zip(theirs)
            .filter(|((subtree, _), _)| !self.lost && subtree.level > 0 && subtree.level.is_multiple_of(LEVEL));
        let completed = stored.map(|((subtree, by_events), by_nodes)| Completed {
            subtree: Subtree { level: subtree.level + LEVEL, index: subtree.index },
            by_events,
            by_nodes,
        });
        completed.collect()
    }

    /// Both trees with the leaves of a block that is not whole.
    fn with(&self, tail: &Frontier) -> Option<[Frontier; 2]> {
        let joined = |spine: &Frontier| {
            let bytes = [spine.to_bytes(), tail.to_bytes()].concat();
            Frontier::from_bytes(spine.size() * BLOCK + tail.size(), &bytes).ok()
        };
        Some([joined(&self.events)?, joined(&self.nodes)?])
    }

    /// The tree as the events give it.
    pub(super) fn tree(&self, tail: &Frontier) -> Option<Frontier> {
        self.with(tail).map(|[events, _]| events)
    }

    /// Compares a root that was kept of the tree of whole blocks and `tail`.
    pub(super) fn compare_root(&mut self, tail: &Frontier, kept: &Digest) -> Verdict {
        match self.with(tail) {
            Some([events, nodes]) => self.judge(events.root(), nodes.root(), kept),
            None => Verdict::Unknown,
        }
    }

    pub(super) fn judge(&mut self, by_events: Digest, by_nodes: Digest, kept: &Digest) -> Verdict {
        if self.lost {
            return Verdict::Unknown;
        }
        let (events, nodes) = (by_events == *kept, by_nodes == *kept);
        if events != nodes {
            self.events_confirmed |= events;
            self.nodes_confirmed |= nodes;
        }
        if events || nodes { Verdict::Fits } else { Verdict::Differs(by_events) }
    }

    /// What was rewritten where a block and its node differ.
    pub(super) fn rewritten(&self) -> Rewritten {
        match (self.events_confirmed, self.nodes_confirmed) {
            (true, false) => Rewritten::Witness,
            (false, true) => Rewritten::Events,
            (true, true) | (false, false) => Rewritten::Either,
        }
    }
}
