//! Inclusion and consistency: which subtrees a proof consists of, and how a proof is checked.

use xagent_domain::Digest;

use crate::frontier::fold;
use crate::{Subtree, node_hash};

/// Leaves `start` to `end`, without `end`, as they stand in a tree: its root is MTH(D[start:end]) of RFC 6962.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first leaf.
    pub start: u64,
    /// The leaf after the last.
    pub end: u64,
}

impl Range {
    /// The perfect subtrees the range consists of, from left to right.
    pub fn subtrees(self) -> Vec<Subtree> {
        let (mut start, mut found) = (self.start, Vec::new());
        while start < self.end {
            let level = (self.end - start).ilog2().min(if start == 0 { 63 } else { start.trailing_zeros() });
            found.push(Subtree { level: u8::try_from(level).unwrap_or(63), index: start >> level });
            start += 1 << level;
        }
        found
    }

    /// The root of the range, from the roots of its subtrees; `None` for an empty range.
    pub fn root(self, roots: &[Digest]) -> Option<Digest> {
        fold(roots)
    }
}

/// The largest power of two smaller than `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The subtrees whose roots are the inclusion proof of leaf `index` in a tree of `size` leaves, in the order of the proof
/// (RFC 6962 section 2.1.1). `None` where there is no such leaf.
pub fn inclusion_ranges(index: u64, size: u64) -> Option<Vec<Range>> {
    if index >= size {
        return None;
    }
    let (mut start, mut end, mut path) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(Range { start: middle, end });
            end = middle;
        } else {
            path.push(Range { start, end: middle });
            start = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// The subtrees whose roots are the proof that the tree of `first` leaves is a prefix of that of `second`, in the order of
/// the proof (RFC 6962 section 2.1.2). `None` unless 0 < `first` <= `second`.
pub fn consistency_ranges(first: u64, second: u64) -> Option<Vec<Range>> {
    if first == 0 || first > second {
        return None;
    }
    let (mut start, mut end, mut path) = (0, second, Vec::new());
    let mut whole = true;
    while end != first {
        let middle = start + split(end - start);
        if first <= middle {
            path.push(Range { start: middle, end });
            end = middle;
        } else {
            path.push(Range { start, end: middle });
            start = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(Range { start, end });
    }
    path.reverse();
    Some(path)
}

/// Whether `path` proves that `leaf` is leaf `index` of the tree of `size` leaves under `root` (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(leaf: &Digest, index: u64, size: u64, path: &[Digest], root: &Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `path` proves that the tree of `first` leaves under `first_root` is a prefix of that of `second` leaves under
/// `second_root` (RFC 9162 section 2.1.4.2).
pub fn verify_consistency(first: u64, second: u64, path: &[Digest], first_root: &Digest, second_root: &Digest) -> bool {
    if first == 0 || first > second {
        return false;
    }
    if first == second {
        return path.is_empty() && first_root == second_root;
    }
    let whole = first.is_power_of_two().then_some(first_root);
    let mut nodes = whole.into_iter().chain(path);
    let Some(seed) = nodes.next() else { return false };
    let (mut place, mut last) = (first - 1, second - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*seed, *seed);
    for node in nodes {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            old = node_hash(node, &old);
            new = node_hash(node, &new);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, node);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && old == *first_root && new == *second_root
}
