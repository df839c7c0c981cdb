//! Roots, proofs and tiles of the tree at any size, from leaf hashes and stored nodes: O(log n) hashes in one round trip.

mod hashes;
mod plant;
mod tile;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_domain::Digest;
use xagent_tree::{Range, Subtree, batch_ranges, consistency_ranges, inclusion_ranges};

pub(crate) use plant::plant;

use crate::{Ledger, LedgerError};

/// Subtrees whose roots are read at once.
const RANGES: usize = 64;

/// Proof that an event is in the tree of a size (RFC 9162 section 2.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InclusionProof {
    /// The event's position; its leaf's index is one less.
    pub position: u64,
    /// The event's leaf hash.
    pub leaf_hash: Digest,
    /// Leaves in the tree.
    pub tree_size: u64,
    /// Root of the tree.
    pub root: Digest,
    /// The proof.
    pub path: Vec<Digest>,
}

/// Proof that one tree is a prefix of another (RFC 9162 section 2.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsistencyProof {
    /// Leaves in the smaller tree.
    pub first: u64,
    /// Its root.
    pub first_root: Digest,
    /// Leaves in the larger tree.
    pub second: u64,
    /// Its root.
    pub second_root: Digest,
    /// The proof.
    pub path: Vec<Digest>,
}

impl Ledger {
    /// The root of the tree over the first `size` events.
    pub async fn root_at(&self, size: u64) -> Result<Digest, LedgerError> {
        if size == 0 {
            return Ok(Digest::of(b""));
        }
        let whole = Range { start: 0, end: size };
        self.hashes(&[whole]).await?.root(whole)
    }

    /// Proves that the event at `position` is in the tree of `size` events; `None` where there is no such event in it.
    pub async fn inclusion(&self, position: u64, size: u64) -> Result<Option<InclusionProof>, LedgerError> {
        let path = position.checked_sub(1).and_then(|index| inclusion_ranges(index, size));
        let (Some(path), true) = (path, self.reaches(size).await?) else { return Ok(None) };
        let (leaf, whole) = (Range { start: position - 1, end: position }, Range { start: 0, end: size });
        let hashes = self.hashes(&[&path[..], &[leaf, whole]].concat()).await?;
        let (leaf_hash, root) = (hashes.root(leaf)?, hashes.root(whole)?);
        Ok(Some(InclusionProof { position, leaf_hash, tree_size: size, root, path: hashes.roots(&path)? }))
    }

    /// Proves in one that the events at `positions`, which ascend, are in the tree of `size` events: the roots of all
    /// subtrees that hold none of them, from left to right. `None` where there are no such events in it.
    pub async fn batch(&self, positions: &[u64], size: u64) -> Result<Option<Vec<Digest>>, LedgerError> {
        let indices: Option<Vec<_>> = positions.iter().map(|position| position.checked_sub(1)).collect();
        let ranges = indices.and_then(|indices| batch_ranges(&indices, size));
        let (Some(ranges), true) = (ranges, self.reaches(size).await?) else { return Ok(None) };
        let mut path = Vec::with_capacity(ranges.len());
        for some in ranges.chunks(RANGES) {
            path.extend(self.hashes(some).await?.roots(some)?);
        }
        Ok(Some(path))
    }

    /// Proves that the tree of `first` events is a prefix of that of `second`; `None` where there are no such trees.
    pub async fn consistency(&self, first: u64, second: u64) -> Result<Option<ConsistencyProof>, LedgerError> {
        let path = consistency_ranges(first, second);
        let (Some(path), true) = (path, self.reaches(second).await?) else { return Ok(None) };
        let (old, new) = (Range { start: 0, end: first }, Range { start: 0, end: second });
        let hashes = self.hashes(&[&path[..], &[old, new]].concat()).await?;
        let (first_root, second_root) = (hashes.root(old)?, hashes.root(new)?);
        Ok(Some(ConsistencyProof { first, first_root, second, second_root, path: hashes.roots(&path)? }))
    }

    /// The root of a perfect subtree.
    pub(crate) async fn subtree_root(&self, subtree: Subtree) -> Result<Digest, LedgerError> {
        let start = subtree.index << subtree.level;
        let range = Range { start, end: start + (1 << subtree.level) };
        self.hashes(&[range]).await?.root(range)
    }

    /// Whether there are so many events. Asks the database only where that is not known already.
    pub(crate) async fn reaches(&self, size: u64) -> Result<bool, LedgerError> {
        let known = *self.0.committed.borrow();
        Ok(size <= known || size <= self.head().await?.position)
    }
}

fn missing(after: u64) -> LedgerError {
    let detail = "a leaf or a node of the tree behind it is missing; run `xagent verify`".to_owned();
    LedgerError::Tampered { position: after + 1, detail }
}
