//! Roots and proofs of every size against the definition in RFC 6962.

use xagent_domain::Digest;
use xagent_tree::{Frontier, consistency_ranges, inclusion_ranges, node_hash, verify_consistency, verify_inclusion};

use super::{SIZES, Tree, flipped, leaves};

/// MTH of RFC 6962 section 2.1, word for word.
fn mth(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(b""),
        [leaf] => *leaf,
        more => {
            let mut k = 1;
            while k * 2 < more.len() {
                k *= 2;
            }
            node_hash(&mth(&more[..k]), &mth(&more[k..]))
        }
    }
}

#[test]
fn every_size_has_the_root_of_the_definition_and_survives_being_written() {
    let leaves = leaves();
    let mut frontier = Frontier::default();
    for size in 0..leaves.len() {
        assert_eq!(frontier.root(), mth(&leaves[..size]));
        assert_eq!(Frontier::from_bytes(size as u64, &frontier.to_bytes()), Ok(frontier.clone()));
        assert!(Frontier::from_bytes(size as u64, &[0; 31]).is_err());
        frontier.push(leaves[size], |_, _| {});
    }
}

#[test]
fn every_leaf_of_every_size_is_proven_and_nothing_else_is() {
    let tree = Tree::of(leaves());
    for size in 1..=SIZES {
        let root = tree.root(size);
        for index in 0..size {
            let (leaf, path) = (tree.leaf(index), tree.inclusion(index, size));
            assert!(verify_inclusion(leaf, index, size, &path, root), "{index} of {size}");
            assert!(size == 1 || !verify_inclusion(root, index, size, &path, leaf));
            assert!(!verify_inclusion(leaf, index + 1, size, &path, root));
            for at in 0..path.len() {
                assert!(!verify_inclusion(leaf, index, size, &flipped(&path, at, at * 37 % 256), root));
                assert!(!verify_inclusion(leaf, index, size, &path[..at], root));
            }
            let longer: Vec<_> = path.iter().copied().chain([*root]).collect();
            assert!(!verify_inclusion(leaf, index, size, &longer, root));
        }
        assert_eq!(inclusion_ranges(size, size), None);
    }
}

#[test]
fn every_prefix_of_every_size_is_proven_and_nothing_else_is() {
    let tree = Tree::of(leaves());
    for second in 1..=SIZES {
        let new = tree.root(second);
        for first in 1..=second {
            let (old, path) = (tree.root(first), tree.consistency(first, second));
            assert!(verify_consistency(first, second, &path, old, new), "{first} in {second}");
            if first < second {
                assert!(!verify_consistency(first, second, &path, new, old));
                assert!(!verify_consistency(first, second, &path[..path.len() - 1], old, new));
            }
            for at in 0..path.len() {
                assert!(!verify_consistency(first, second, &flipped(&path, at, at * 37 % 256), old, new));
            }
            let longer: Vec<_> = path.iter().copied().chain([*new]).collect();
            assert!(!verify_consistency(first, second, &longer, old, new));
        }
    }
    assert_eq!((consistency_ranges(0, 5), consistency_ranges(6, 5)), (None, None));
}
