//! An implementation that shares no line with ours, the crate `ct-merkle`, agrees on every root and every proof: each
//! makes the same bytes, and each accepts the other's.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;
use xagent_domain::Digest;
use xagent_tree::{verify_consistency, verify_inclusion};

use super::{SIZES, Tree, leaves};

type Theirs = MemoryBackedTree<Sha256, Vec<u8>>;

fn entry(index: u64) -> Vec<u8> {
    index.to_be_bytes().to_vec()
}

fn bytes(path: &[Digest]) -> Vec<u8> {
    path.iter().flat_map(|node| *node.as_bytes()).collect()
}

fn digests(bytes: &[u8]) -> Vec<Digest> {
    let (nodes, rest) = bytes.as_chunks::<32>();
    assert!(rest.is_empty());
    nodes.iter().copied().map(Digest::from_bytes).collect()
}

fn their_root(root: &Digest, size: u64) -> RootHash<Sha256> {
    RootHash::new((*root.as_bytes()).into(), size)
}

#[test]
fn it_agrees_on_every_root_and_every_inclusion_proof() {
    let ours = Tree::of(leaves());
    let mut theirs = Theirs::new();
    for size in 1..=SIZES {
        theirs.push(entry(size - 1));
        let root = their_root(ours.root(size), size);
        assert_eq!(theirs.root().as_bytes().as_slice(), ours.root(size).as_bytes());
        for index in 0..size {
            let (made, found) = (ours.inclusion(index, size), theirs.prove_inclusion(usize::try_from(index).unwrap()));
            assert_eq!(bytes(&made), found.as_bytes(), "{index} of {size}");
            let accepted = verify_inclusion(ours.leaf(index), index, size, &digests(found.as_bytes()), ours.root(size));
            assert!(accepted, "{index} of {size}");
            let proof = InclusionProof::<Sha256>::try_from_bytes(bytes(&made)).unwrap();
            root.verify_inclusion(&entry(index), index, &proof).unwrap();
        }
    }
}

#[test]
fn it_agrees_on_every_consistency_proof() {
    let ours = Tree::of(leaves());
    let mut theirs = Theirs::new();
    for second in 1..=SIZES {
        theirs.push(entry(second - 1));
        let new = their_root(ours.root(second), second);
        for first in 1..second {
            let made = ours.consistency(first, second);
            let found = theirs.prove_consistency(usize::try_from(second - first).unwrap());
            assert_eq!(bytes(&made), found.as_bytes(), "{first} in {second}");
            let (old_root, new_root) = (ours.root(first), ours.root(second));
            let accepted = verify_consistency(first, second, &digests(found.as_bytes()), old_root, new_root);
            assert!(accepted, "{first} in {second}");
            let proof = ConsistencyProof::<Sha256>::try_from_bytes(bytes(&made)).unwrap();
            new.verify_consistency(&their_root(old_root, first), &proof).unwrap();
        }
    }
}
