//! No proof survives the change of a single bit: all bits of small trees, any bit of larger ones.

use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert, proptest};
use xagent_tree::{verify_consistency, verify_inclusion};

use super::{SIZES, Tree, flipped, leaves};

/// Up to here every bit of every proof is tried.
const SMALL: u64 = 40;

#[test]
fn no_bit_of_an_inclusion_proof_of_a_small_tree_can_be_changed() {
    let tree = Tree::of(leaves());
    for size in 1..=SMALL {
        for index in 0..size {
            let (leaf, root, path) = (tree.leaf(index), tree.root(size), tree.inclusion(index, size));
            for (node, bit) in bits(path.len()) {
                assert!(!verify_inclusion(leaf, index, size, &flipped(&path, node, bit), root), "{index} of {size}");
            }
        }
    }
}

#[test]
fn no_bit_of_a_consistency_proof_of_a_small_tree_can_be_changed() {
    let tree = Tree::of(leaves());
    for second in 1..=SMALL {
        for first in 1..=second {
            let (old, new, path) = (tree.root(first), tree.root(second), tree.consistency(first, second));
            for (node, bit) in bits(path.len()) {
                let forged = flipped(&path, node, bit);
                assert!(!verify_consistency(first, second, &forged, old, new), "{first} in {second}");
            }
        }
    }
}

fn bits(nodes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..nodes).flat_map(|node| (0..256).map(move |bit| (node, bit)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bit_of_any_proof_of_a_larger_tree_can_be_changed(
        (second, first) in (SMALL..=SIZES).prop_flat_map(|second| (Just(second), 1..=second)),
        at in 0_usize..1000,
        bit in 0_usize..256,
    ) {
        let tree = Tree::of(leaves());
        let (index, new) = (first - 1, tree.root(second));
        let path = tree.inclusion(index, second);
        let forged = flipped(&path, at % path.len(), bit);
        prop_assert!(verify_inclusion(tree.leaf(index), index, second, &path, new));
        prop_assert!(!verify_inclusion(tree.leaf(index), index, second, &forged, new));
        prop_assert!(!verify_inclusion(&flipped(&[*tree.leaf(index)], 0, bit)[0], index, second, &path, new));
        prop_assert!(!verify_inclusion(tree.leaf(index), index, second, &path, &flipped(&[*new], 0, bit)[0]));

        let (old, path) = (tree.root(first), tree.consistency(first, second));
        prop_assert!(verify_consistency(first, second, &path, old, new));
        if !path.is_empty() {
            prop_assert!(!verify_consistency(first, second, &flipped(&path, at % path.len(), bit), old, new));
        }
        prop_assert!(!verify_consistency(first, second, &path, &flipped(&[*old], 0, bit)[0], new));
        prop_assert!(!verify_consistency(first, second, &path, old, &flipped(&[*new], 0, bit)[0]));
    }
}
