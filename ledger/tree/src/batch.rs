//! One proof for many leaves: the roots of all subtrees that hold none of them, each once. Whoever exports or checks a set
//! of events uses it; for a single leaf it is the inclusion proof of RFC 6962 in another order.

use xagent_domain::Digest;

use crate::{Range, node_hash};

/// The largest power of two smaller than `length`, which is at least 2 (RFC 6962 section 2.1).
fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// The subtrees whose roots prove leaves `indices` in a tree of `size` leaves, from left to right. `None` unless there is
/// at least one leaf, all are in the tree, and each is greater than the one before.
pub fn batch_ranges(indices: &[u64], size: u64) -> Option<Vec<Range>> {
    let ascending = indices.is_sorted_by(|one, next| one < next);
    if !ascending || indices.last().is_none_or(|last| *last >= size) {
        return None;
    }
    let mut found = Vec::new();
    without(indices, Range { start: 0, end: size }, &mut found);
    Some(found)
}

fn without(indices: &[u64], range: Range, found: &mut Vec<Range>) {
    if indices.is_empty() {
        found.push(range);
    } else if range.end - range.start > 1 {
        let middle = range.start + split(range.end - range.start);
        let (left, right) = indices.split_at(indices.partition_point(|index| *index < middle));
        without(left, Range { end: middle, ..range }, found);
        without(right, Range { start: middle, ..range }, found);
    }
}

/// The root that leaves and `path` lead to, in a tree of `size` leaves; `None` where they lead nowhere. Every hash of the
/// path is used, so that of one set of leaves there is one proof.
pub fn batch_root(leaves: &[(u64, Digest)], size: u64, path: &[Digest]) -> Option<Digest> {
    let ascending = leaves.is_sorted_by(|(one, _), (next, _)| one < next);
    if !ascending || leaves.last().is_none_or(|(last, _)| *last >= size) {
        return None;
    }
    let mut path = path.iter();
    let root = root_of(leaves, Range { start: 0, end: size }, &mut path)?;
    path.next().is_none().then_some(root)
}

fn root_of(leaves: &[(u64, Digest)], range: Range, path: &mut std::slice::Iter<'_, Digest>) -> Option<Digest> {
    match leaves {
        [] => path.next().copied(),
        [(_, leaf)] if range.end - range.start == 1 => Some(*leaf),
        _ => {
            let middle = range.start + split(range.end - range.start);
            let (left, right) = leaves.split_at(leaves.partition_point(|(index, _)| *index < middle));
            let left = root_of(left, Range { end: middle, ..range }, path)?;
            let right = root_of(right, Range { start: middle, ..range }, path)?;
            Some(node_hash(&left, &right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frontier, inclusion_ranges};

    fn leaf(index: u64) -> Digest {
        Digest::of(&index.to_be_bytes())
    }

    fn root(range: Range) -> Digest {
        let mut frontier = Frontier::default();
        (range.start..range.end).for_each(|index| frontier.push(leaf(index), |_, _| {}));
        frontier.root()
    }

    fn proof(indices: &[u64], size: u64) -> Vec<Digest> {
        batch_ranges(indices, size).unwrap().into_iter().map(root).collect()
    }

    #[test]
    fn every_set_of_leaves_of_every_small_tree_leads_to_its_root() {
        for size in 1..=9_u64 {
            for set in 1..(1_u64 << size) {
                let indices: Vec<_> = (0..size).filter(|index| set >> index & 1 == 1).collect();
                let leaves: Vec<_> = indices.iter().map(|index| (*index, leaf(*index))).collect();
                let path = proof(&indices, size);
                let whole = Some(root(Range { start: 0, end: size }));
                assert_eq!(batch_root(&leaves, size, &path), whole, "{indices:?} of {size}");
                let mut fewer = leaves.clone();
                fewer.pop();
                assert_ne!(batch_root(&fewer, size, &path), whole, "without the last of {indices:?} of {size}");
                let longer = [&path[..], &[leaf(99)]].concat();
                assert_eq!(batch_root(&leaves, size, &longer), None);
                let mut other = leaves.clone();
                other[0].1 = leaf(99);
                assert_ne!(batch_root(&other, size, &path), whole);
            }
        }
    }

    #[test]
    fn the_proof_of_one_leaf_is_that_of_rfc_6962_in_order_of_place() {
        let mut single = inclusion_ranges(5, 1_000_000_007).unwrap();
        single.sort_unstable_by_key(|range| range.start);
        assert_eq!(batch_ranges(&[5], 1_000_000_007).unwrap(), single);
    }

    #[test]
    fn a_run_in_one_piece_costs_hardly_more_than_one_event() {
        let run: Vec<_> = (123_456_789..123_457_789).collect();
        assert!(batch_ranges(&run, 1_000_000_007).unwrap().len() < 45);
    }

    #[test]
    fn what_is_no_ascending_set_of_leaves_has_no_proof() {
        for (indices, size) in [(&[][..], 3), (&[3], 3), (&[1, 1], 3), (&[2, 1], 3), (&[0], 0)] {
            assert_eq!(batch_ranges(indices, size), None);
            let leaves: Vec<_> = indices.iter().map(|index| (*index, leaf(*index))).collect();
            assert_eq!(batch_root(&leaves, size, &[]), None);
        }
    }
}
