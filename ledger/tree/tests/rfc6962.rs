//! The tree against the definition in RFC 6962, and against the published test vectors of Certificate Transparency.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use sha2::Digest as _;
use xagent_domain::Digest;
use xagent_tree::{
    Frontier, Range, Subtree, consistency_ranges, inclusion_ranges, node_hash, verify_consistency, verify_inclusion,
};

const SIZES: u64 = 300;

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

fn leaf(bytes: &[u8]) -> Digest {
    Digest::from_bytes(sha2::Sha256::new().chain_update([0]).chain_update(bytes).finalize().into())
}

fn leaves() -> Vec<Digest> {
    (0..SIZES).map(|number| leaf(&number.to_be_bytes())).collect()
}

/// A tree with every completed subtree remembered, as the ledger remembers them.
struct Tree {
    frontier: Frontier,
    nodes: BTreeMap<Subtree, Digest>,
}

impl Tree {
    fn of(leaves: &[Digest]) -> Self {
        let mut tree = Self { frontier: Frontier::default(), nodes: BTreeMap::new() };
        for leaf in leaves {
            tree.frontier.push(*leaf, |subtree, root| {
                tree.nodes.insert(subtree, root);
            });
        }
        tree
    }

    fn roots(&self, ranges: &[Range]) -> Vec<Digest> {
        let root = |range: &Range| {
            let parts: Vec<_> = range.subtrees().iter().map(|subtree| self.nodes[subtree]).collect();
            range.root(&parts).unwrap()
        };
        ranges.iter().map(root).collect()
    }
}

#[test]
fn the_published_vectors_agree() {
    let inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (input, root) in inputs.iter().zip(roots) {
        let bytes: Vec<u8> =
            (0..input.len() / 2).map(|at| u8::from_str_radix(&input[2 * at..2 * at + 2], 16).unwrap()).collect();
        frontier.push(leaf(&bytes), |_, _| {});
        assert_eq!(frontier.root().to_string(), root);
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
    let leaves = leaves();
    let tree = Tree::of(&leaves);
    for size in 1..=SIZES {
        let root = mth(&leaves[..usize::try_from(size).unwrap()]);
        for index in 0..size {
            let leaf = &leaves[usize::try_from(index).unwrap()];
            let path = tree.roots(&inclusion_ranges(index, size).unwrap());
            assert!(verify_inclusion(leaf, index, size, &path, &root), "{index} of {size}");
            assert!(size == 1 || !verify_inclusion(&root, index, size, &path, leaf));
            assert!(!verify_inclusion(leaf, index + 1, size, &path, &root));
            for at in 0..path.len() {
                let mut forged = path.clone();
                let mut bytes = *forged[at].as_bytes();
                bytes[at % 32] ^= 1 << (at % 8);
                forged[at] = Digest::from_bytes(bytes);
                assert!(!verify_inclusion(leaf, index, size, &forged, &root));
                assert!(!verify_inclusion(leaf, index, size, &path[..at], &root));
            }
            let longer: Vec<_> = path.iter().copied().chain([root]).collect();
            assert!(!verify_inclusion(leaf, index, size, &longer, &root));
        }
        assert_eq!(inclusion_ranges(size, size), None);
    }
}

#[test]
fn every_prefix_of_every_size_is_proven_and_nothing_else_is() {
    let leaves = leaves();
    let tree = Tree::of(&leaves);
    let root = |size: u64| mth(&leaves[..usize::try_from(size).unwrap()]);
    for second in 1..=SIZES {
        let new = root(second);
        for first in 1..=second {
            let old = root(first);
            let path = tree.roots(&consistency_ranges(first, second).unwrap());
            assert!(verify_consistency(first, second, &path, &old, &new), "{first} in {second}");
            if first < second {
                assert!(!verify_consistency(first, second, &path, &new, &old));
                assert!(!verify_consistency(first, second, &path[..path.len() - 1], &old, &new));
            }
            for at in 0..path.len() {
                let mut forged = path.clone();
                let mut bytes = *forged[at].as_bytes();
                bytes[at % 32] ^= 1 << (at % 8);
                forged[at] = Digest::from_bytes(bytes);
                assert!(!verify_consistency(first, second, &forged, &old, &new));
            }
        }
    }
    assert_eq!((consistency_ranges(0, 5), consistency_ranges(6, 5)), (None, None));
}
