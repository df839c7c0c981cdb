//! No proof of a tree of up to 300 leaves survives that any one of its nodes, its leaf or a root is replaced by whatever
//! value: all 2^256 of them at once, and so any flipped bit.
//!
//! The walks of the verifier are run on terms instead of hashes. Where two hashes are equal only if what was hashed is,
//! which is what SHA-256 is trusted for, a walk that ends at another term ends at another hash. A term is told by a number
//! that depends on it alone, so different numbers are different terms. That every bit of both children goes into a node's
//! hash is tried on the hash itself. In `tests/rfc6962/flips.rs` bits are flipped for real.

use super::{Range, consistency_ranges, consistency_roots, inclusion_ranges, inclusion_root};
use crate::{Digest, node_hash};

const SIZES: u64 = 300;
/// In no tree.
const WRONG: u64 = 0xdead_beef_dead_beef;

/// The number of the term that joins two.
fn join(left: &u64, right: &u64) -> u64 {
    let mixed = left.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ right.rotate_left(31).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 32)
}

fn leaf(index: u64) -> u64 {
    join(&index, &!index)
}

/// MTH of RFC 6962 section 2.1 over a range of leaves.
fn root(Range { start, end }: Range) -> u64 {
    let width = end - start;
    if width == 1 {
        return leaf(start);
    }
    let middle = start + width.next_power_of_two() / 2;
    join(&root(Range { start, end: middle }), &root(Range { start: middle, end }))
}

fn roots() -> Vec<u64> {
    (0..=SIZES).map(|size| if size == 0 { 0 } else { root(Range { start: 0, end: size }) }).collect()
}

fn of(roots: &[u64], size: u64) -> u64 {
    roots[usize::try_from(size).unwrap()]
}

fn path(ranges: Option<Vec<Range>>) -> Vec<u64> {
    ranges.unwrap().into_iter().map(root).collect()
}

/// The path with each of its nodes replaced in turn.
fn replaced(path: &[u64]) -> impl Iterator<Item = Vec<u64>> + '_ {
    (0..path.len()).map(|node| {
        let mut forged = path.to_vec();
        forged[node] = WRONG;
        forged
    })
}

#[test]
fn any_bit_of_either_child_is_in_the_hash_of_a_node() {
    let (left, right) = (Digest::of(b"left"), Digest::of(b"right"));
    let node = node_hash(&left, &right);
    for bit in 0..256 {
        let flip = |digest: &Digest| {
            let mut bytes = *digest.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            Digest::from_bytes(bytes)
        };
        assert_ne!(node_hash(&flip(&left), &right), node);
        assert_ne!(node_hash(&left, &flip(&right)), node);
    }
}

#[test]
fn no_other_leaf_node_or_root_is_proven_to_be_included() {
    let roots = roots();
    for size in 1..=SIZES {
        for index in 0..size {
            let path = path(inclusion_ranges(index, size));
            let lead = |leaf: u64, path: &[u64]| inclusion_root(&leaf, index, size, path, join);
            assert_eq!(lead(leaf(index), &path), Some(of(&roots, size)), "{index} of {size}");
            assert_ne!(lead(WRONG, &path), Some(of(&roots, size)), "{index} of {size}");
            for forged in replaced(&path) {
                assert_ne!(lead(leaf(index), &forged), Some(of(&roots, size)), "{index} of {size}");
            }
        }
    }
}

#[test]
fn a_leaf_is_proven_at_no_other_index_and_in_no_tree_of_another_size() {
    let roots = roots();
    for size in 1..=SIZES {
        for index in 0..size {
            let path = path(inclusion_ranges(index, size));
            let lead = |index, size| inclusion_root(&leaf(index), index, size, &path, join);
            let moved = |other| inclusion_root(&leaf(index), other, size, &path, join);
            for other in (0..=SIZES).filter(|other| *other != index) {
                assert_ne!(moved(other), Some(of(&roots, size)), "{index} at {other} of {size}");
            }
            for other in (1..=SIZES).filter(|other| *other != size) {
                assert_ne!(lead(index, other), Some(of(&roots, other)), "{index} of {size} in {other}");
            }
        }
    }
}

#[test]
fn no_other_node_or_root_is_proven_to_be_consistent() {
    let roots = roots();
    for second in 1..=SIZES {
        for first in 1..=second {
            let path = path(consistency_ranges(first, second));
            let (old, new) = (of(&roots, first), of(&roots, second));
            let holds = |path: &[u64], old, new| consistency_roots(first, second, path, &old, join) == Some((old, new));
            assert!(holds(&path, old, new), "{first} in {second}");
            assert!(!holds(&path, WRONG, new) && !holds(&path, old, WRONG), "{first} in {second}");
            assert!(replaced(&path).all(|forged| !holds(&forged, old, new)), "{first} in {second}");
        }
    }
}

#[test]
fn a_tree_is_proven_to_be_a_prefix_of_no_tree_of_another_size() {
    let roots = roots();
    for second in 1..=SIZES {
        for first in 1..=second {
            let path = path(consistency_ranges(first, second));
            let holds = |first, second| {
                let (old, new) = (of(&roots, first), of(&roots, second));
                consistency_roots(first, second, &path, &old, join) == Some((old, new))
            };
            // The proof that a tree is itself is empty, whatever the tree.
            let same = |one, other| one == other && first == second;
            assert!((1..=SIZES).all(|other| other == first || same(other, second) || !holds(other, second)));
            assert!((1..=SIZES).all(|other| other == second || same(first, other) || !holds(first, other)));
        }
    }
}
