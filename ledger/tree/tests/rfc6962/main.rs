//! The tree against the definition in RFC 6962, published vectors, and an implementation that is not ours.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod definition;
mod flips;
mod independent;
mod vectors;

use std::collections::BTreeMap;

use sha2::Digest as _;
use xagent_domain::Digest;
use xagent_tree::{Frontier, Range, Subtree, consistency_ranges, inclusion_ranges};

const SIZES: u64 = 300;

fn leaf(bytes: &[u8]) -> Digest {
    Digest::from_bytes(sha2::Sha256::new().chain_update([0]).chain_update(bytes).finalize().into())
}

fn leaves() -> Vec<Digest> {
    (0..SIZES).map(|number| leaf(&number.to_be_bytes())).collect()
}

/// A tree with every completed subtree and every size's root remembered, as the ledger remembers them.
struct Tree {
    leaves: Vec<Digest>,
    roots: Vec<Digest>,
    nodes: BTreeMap<Subtree, Digest>,
}

impl Tree {
    fn of(leaves: Vec<Digest>) -> Self {
        let (mut frontier, mut nodes) = (Frontier::default(), BTreeMap::new());
        let mut roots = vec![frontier.root()];
        for leaf in &leaves {
            frontier.push(*leaf, |subtree, root| {
                nodes.insert(subtree, root);
            });
            roots.push(frontier.root());
        }
        Self { leaves, roots, nodes }
    }

    fn leaf(&self, index: u64) -> &Digest {
        &self.leaves[usize::try_from(index).unwrap()]
    }

    fn root(&self, size: u64) -> &Digest {
        &self.roots[usize::try_from(size).unwrap()]
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Digest> {
        self.path(&inclusion_ranges(index, size).unwrap())
    }

    fn consistency(&self, first: u64, second: u64) -> Vec<Digest> {
        self.path(&consistency_ranges(first, second).unwrap())
    }

    fn path(&self, ranges: &[Range]) -> Vec<Digest> {
        let root = |range: &Range| {
            let parts: Vec<_> = range.subtrees().iter().map(|subtree| self.nodes[subtree]).collect();
            range.root(&parts).unwrap()
        };
        ranges.iter().map(root).collect()
    }
}

/// The same path with one bit of one node changed.
fn flipped(path: &[Digest], node: usize, bit: usize) -> Vec<Digest> {
    let mut forged = path.to_vec();
    let mut bytes = *forged[node].as_bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    forged[node] = Digest::from_bytes(bytes);
    forged
}
