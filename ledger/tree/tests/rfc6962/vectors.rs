//! The known answers of Certificate Transparency's reference tree of eight leaves (google/certificate-transparency,
//! `cpp/merkletree/merkle_tree_test.cc`): roots, inclusion proofs and consistency proofs.

use xagent_domain::Digest;
use xagent_tree::{Frontier, verify_consistency, verify_inclusion};

use super::{Tree, leaf};

const INPUTS: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const LEAF_1: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const LEAVES_2_3: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const LEAVES_4_7: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const LEAF_4: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const LEAVES_6_7: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const LEAVES_4_5: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

/// Leaf, counted from 1 as there; size; proof.
const INCLUSION: [(u64, u64, &[&str]); 5] = [
    (1, 1, &[]),
    (1, 8, &[LEAF_1, LEAVES_2_3, LEAVES_4_7]),
    (6, 8, &[LEAF_4, LEAVES_6_7, ROOTS[3]]),
    (3, 3, &[ROOTS[1]]),
    (2, 5, &[ROOTS[0], LEAVES_2_3, LEAF_4]),
];

/// Smaller size, larger size, proof.
const CONSISTENCY: [(u64, u64, &[&str]); 4] = [
    (1, 1, &[]),
    (1, 8, &[LEAF_1, LEAVES_2_3, LEAVES_4_7]),
    (6, 8, &[LEAVES_4_5, LEAVES_6_7, ROOTS[3]]),
    (2, 5, &[LEAVES_2_3, LEAF_4]),
];

fn tree() -> Tree {
    let bytes = |input: &str| -> Vec<u8> {
        (0..input.len() / 2).map(|at| u8::from_str_radix(&input[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    Tree::of(INPUTS.iter().map(|input| leaf(&bytes(input))).collect())
}

fn digests(texts: &[&str]) -> Vec<Digest> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn the_roots_agree() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Frontier::default().root().to_string(), empty);
    let tree = tree();
    for (size, root) in (1..).zip(ROOTS) {
        assert_eq!(tree.root(size).to_string(), root);
    }
}

#[test]
fn the_inclusion_proofs_agree() {
    let tree = tree();
    for (leaf, size, path) in INCLUSION {
        let (index, path) = (leaf - 1, digests(path));
        assert_eq!(tree.inclusion(index, size), path, "{leaf} of {size}");
        let root = ROOTS[usize::try_from(size).unwrap() - 1].parse().unwrap();
        assert!(verify_inclusion(tree.leaf(index), index, size, &path, &root));
    }
}

#[test]
fn the_consistency_proofs_agree() {
    let tree = tree();
    for (first, second, path) in CONSISTENCY {
        let path = digests(path);
        assert_eq!(tree.consistency(first, second), path, "{first} in {second}");
        let [old, new] = [first, second].map(|size| ROOTS[usize::try_from(size).unwrap() - 1].parse().unwrap());
        assert!(verify_consistency(first, second, &path, &old, &new));
    }
}
