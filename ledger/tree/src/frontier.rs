//! The compact range of a growing tree: the roots of its perfect subtrees, largest first. All that appending needs.

use xagent_domain::Digest;

use crate::node_hash;

/// The right edge of a tree of `size` leaves: one root per bit set in `size`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Digest>,
}

/// A perfect subtree: 2^`level` leaves from `index` * 2^`level` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subtree {
    /// 0 for a leaf.
    pub level: u8,
    /// Place among the subtrees of its level, from 0.
    pub index: u64,
}

/// The bytes are no frontier of this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has a frontier of {expected} bytes, not {found}")]
pub struct FrontierError {
    size: u64,
    expected: usize,
    found: usize,
}

impl Frontier {
    /// Reads a frontier as [`Frontier::to_bytes`] wrote it.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self, FrontierError> {
        let (roots, rest) = bytes.as_chunks::<32>();
        let expected = size.count_ones() as usize;
        if roots.len() != expected || !rest.is_empty() {
            return Err(FrontierError { size, expected: expected * 32, found: bytes.len() });
        }
        Ok(Self { size, roots: roots.iter().map(|root| Digest::from_bytes(*root)).collect() })
    }

    /// The roots, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.iter().flat_map(|root| *root.as_bytes()).collect()
    }

    /// Leaves in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; `completed` hears of every perfect subtree that it completes, the leaf itself first.
    pub fn push(&mut self, leaf: Digest, mut completed: impl FnMut(Subtree, Digest)) {
        let (mut level, mut root) = (0_u8, leaf);
        completed(Subtree { level, index: self.size }, root);
        while (self.size >> level) & 1 == 1 {
            if let Some(left) = self.roots.pop() {
                root = node_hash(&left, &root);
            }
            level += 1;
            completed(Subtree { level, index: self.size >> level }, root);
        }
        self.roots.push(root);
        self.size += 1;
    }

    /// The root of the tree, RFC 6962 section 2.1: for the empty tree SHA-256 of nothing.
    pub fn root(&self) -> Digest {
        fold(&self.roots).unwrap_or_else(|| Digest::of(b""))
    }
}

/// The root over adjacent perfect subtrees, largest first.
pub(crate) fn fold(roots: &[Digest]) -> Option<Digest> {
    roots.iter().rev().copied().reduce(|right, left| node_hash(&left, &right))
}
