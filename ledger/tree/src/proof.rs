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
///
/// The size is as good as the word of whoever vouches for the root: trees of other sizes may have leaves at the same places.
pub fn verify_inclusion(leaf: &Digest, index: u64, size: u64, path: &[Digest], root: &Digest) -> bool {
    inclusion_root(leaf, index, size, path, node_hash).as_ref() == Some(root)
}

/// The root that `path` leads to; `None` where it leads nowhere.
fn inclusion_root<N: Copy>(leaf: &N, index: u64, size: u64, path: &[N], join: impl Fn(&N, &N) -> N) -> Option<N> {
    if index >= size {
        return None;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            hash = join(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = join(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// Whether `path` proves that the tree of `first` leaves under `first_root` is a prefix of that of `second` leaves under
/// `second_root` (RFC 9162 section 2.1.4.2).
pub fn verify_consistency(first: u64, second: u64, path: &[Digest], first_root: &Digest, second_root: &Digest) -> bool {
    consistency_roots(first, second, path, first_root, node_hash) == Some((*first_root, *second_root))
}

/// The roots that `path` leads to; `None` where it leads nowhere.
fn consistency_roots<N: Copy>(
    first: u64,
    second: u64,
    path: &[N],
    first_root: &N,
    join: impl Fn(&N, &N) -> N,
) -> Option<(N, N)> {
    if first == 0 || first > second {
        return None;
    }
    if first == second {
        return path.is_empty().then_some((*first_root, *first_root));
    }
    let whole = first.is_power_of_two().then_some(first_root);
    let mut nodes = whole.into_iter().chain(path);
    let seed = nodes.next()?;
    let (mut place, mut last) = (first - 1, second - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*seed, *seed);
    for node in nodes {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            old = join(node, &old);
            new = join(node, &new);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new = join(&new, node);
        }
        place >>= 1;
        last >>= 1;
    }
    (last == 0).then_some((old, new))
}

#[cfg(test)]
mod any_value;
