//! Up to 256 events under one node of the tree, and which of a row's two stories its node believes. Pure.

use xagent_domain::Digest;
use xagent_tree::Frontier;

use super::inspect::{Changed, Checked};
use super::spine::BLOCK;

/// What is at a position.
pub(super) enum Slot {
    /// Nothing.
    Missing,
    /// A leaf hash alone: what stands there was archived, and is not read.
    Hash(Digest),
    /// An event that is what was sealed.
    Held(Digest),
    /// An event that is not.
    Changed { found: Digest, recorded: Digest, changed: Box<Changed> },
}

/// The events of a block, so far.
#[derive(Default)]
pub(super) struct Block(Vec<Slot>);

/// What a block turns out to be.
pub(super) struct Settled {
    /// The root its events give; nothing where some are missing.
    pub root: Option<Digest>,
    /// The leaves as they were sealed, as far as can be told.
    pub leaves: Vec<Option<Digest>>,
    /// Whether its events and hashes agree but the witness does not agree with them.
    pub rebuilt: bool,
    /// Whether in rows that do not hold it was the hash that was changed.
    pub hashes_changed: bool,
}

impl Slot {
    pub(super) fn of(checked: Checked) -> Self {
        let Checked { found, recorded, changed, .. } = checked;
        match changed {
            None => Self::Held(found),
            Some(changed) => Self::Changed { found, recorded, changed },
        }
    }

    fn recorded(&self) -> Option<Digest> {
        match self {
            Self::Missing => None,
            Self::Hash(hash) | Self::Held(hash) => Some(*hash),
            Self::Changed { recorded, .. } => Some(*recorded),
        }
    }

    fn found(&self) -> Option<Digest> {
        match self {
            Self::Changed { found, .. } => Some(*found),
            other => other.recorded(),
        }
    }
}

impl Block {
    pub(super) fn push(&mut self, slot: Slot) {
        self.0.push(slot);
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn is_whole(&self) -> bool {
        self.len() == BLOCK
    }

    pub(super) fn slots(self) -> Vec<Slot> {
        self.0
    }

    /// Judges the block by what `kept` says of the tree over its leaves, where that is known.
    pub(super) fn settle(&self, kept: Option<&Frontier>) -> Settled {
        let sealed: Vec<_> = self.0.iter().map(Slot::recorded).collect();
        let found: Vec<_> = self.0.iter().map(Slot::found).collect();
        let whole = self.0.iter().all(|slot| matches!(slot, Slot::Hash(_) | Slot::Held(_)));
        let moved = self.0.iter().any(|slot| matches!(slot, Slot::Changed { changed, .. } if changed.moved.is_some()));
        let (as_sealed, as_found) = (tree(&sealed), if whole { None } else { tree(&found) });
        let fits = |tree: &Option<Frontier>| tree.is_some() && (kept.is_none() || tree.as_ref() == kept);
        let hashes_changed = kept.is_some() && !fits(&as_sealed) && fits(&as_found);
        let rebuilt = as_sealed.is_some() && !fits(&as_sealed) && !hashes_changed && !moved;
        let tree = if hashes_changed { as_found } else { as_sealed.filter(|_| !moved) };
        Settled {
            root: tree.map(|tree| tree.root()),
            leaves: if hashes_changed { found } else { sealed },
            rebuilt,
            hashes_changed,
        }
    }
}

/// The tree over leaves, if all are there.
pub(super) fn tree(leaves: &[Option<Digest>]) -> Option<Frontier> {
    let mut tree = Frontier::default();
    leaves.iter().try_for_each(|leaf| leaf.map(|leaf| tree.push(leaf, |_, _| {})))?;
    Some(tree)
}
