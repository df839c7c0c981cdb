//! The file a proof travels in, and what it takes for it to hold. Pure: files and keys in, a verdict out.

use serde::{Deserialize, Serialize};
use xagent_domain::{Digest, Recorded};
use xagent_ledger::{ConsistencyProof, InclusionProof, Receipt};
use xagent_tree::{Checkpoint, Verifier, leaf_hash, verify_consistency, verify_inclusion};

/// What the file calls its own form. Another form gets another number.
const FORMAT: &str = "xagent-proof/1";

/// All that somebody with the log's public key needs to check what was promised.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    format: String,
    /// The signed note that everything else is held to.
    checkpoint: String,
    /// That events are in the checkpoint's tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inclusion: Vec<InclusionProof>,
    /// What a command was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
    /// A checkpoint that was kept earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept: Option<String>,
    /// That the checkpoint's tree follows on that of the receipt, or of the kept checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consistency: Option<ConsistencyProof>,
}

/// What was found to hold.
#[derive(Debug, Serialize)]
pub struct Held {
    /// Leaves in the signed tree.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// The keys that signed it, of those that were given.
    pub keys: Vec<String>,
    /// Positions of the events that are in it.
    pub positions: Vec<u64>,
    /// Whether a receipt was checked.
    pub receipt: bool,
    /// Whether an event was checked.
    pub event: bool,
    /// Size of the tree that was kept earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<u64>,
}

impl ProofFile {
    /// A proof under a checkpoint, of nothing yet.
    pub fn new(checkpoint: String) -> Self {
        let (format, inclusion) = (FORMAT.to_owned(), Vec::new());
        Self { format, checkpoint, inclusion, receipt: None, kept: None, consistency: None }
    }

    /// With proofs of events.
    pub fn including(mut self, inclusion: Vec<InclusionProof>) -> Self {
        self.inclusion = inclusion;
        self
    }

    /// With what a command was answered.
    pub fn of_receipt(mut self, receipt: Receipt, consistency: ConsistencyProof) -> Self {
        (self.receipt, self.consistency) = (Some(receipt), Some(consistency));
        self
    }

    /// With a checkpoint that was kept earlier.
    pub fn following(mut self, kept: String, consistency: ConsistencyProof) -> Self {
        (self.kept, self.consistency) = (Some(kept), Some(consistency));
        self
    }

    /// Reads the file; the error says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let file: Self = serde_json::from_str(text).map_err(|error| format!("it is no proof: {error}"))?;
        match file.format == FORMAT {
            true => Ok(file),
            false => Err(format!("it is of the form `{}`, and `{FORMAT}` is understood", file.format)),
        }
    }

    /// Checks all of it, and `event` if there is one; the error is the first thing that does not hold.
    pub fn check(&self, event: Option<&Recorded>, keys: &[Verifier]) -> Result<Held, String> {
        let (tree, signers) =
            Checkpoint::signers(&self.checkpoint, keys).map_err(|e| format!("the checkpoint: {e}"))?;
        for proof in &self.inclusion {
            included(proof, &tree)?;
        }
        if let Some(receipt) = &self.receipt {
            self.kept_promise(receipt, &tree)?;
        }
        let follows = self.kept.as_ref().map(|kept| self.follows(kept, &tree, keys)).transpose()?;
        if let Some(event) = event {
            self.holds(event)?;
        }
        if self.inclusion.is_empty() && self.receipt.is_none() && follows.is_none() {
            return Err("it proves nothing: it has neither events, nor a receipt, nor a kept checkpoint".to_owned());
        }
        Ok(Held {
            size: tree.size,
            root: tree.root,
            keys: signers.into_iter().map(Verifier::to_string).collect(),
            positions: self.inclusion.iter().map(|proof| proof.position).collect(),
            receipt: self.receipt.is_some(),
            event: event.is_some(),
            follows,
        })
    }

    /// Each event of the receipt is in the tree, and the receipt's tree is a prefix of it.
    fn kept_promise(&self, receipt: &Receipt, tree: &Checkpoint) -> Result<(), String> {
        let count = receipt.last_position.checked_add(1).and_then(|past| past.checked_sub(receipt.first_position));
        if count != Some(receipt.leaf_hashes.len() as u64) || receipt.last_position > receipt.tree_size {
            return Err(
                "the receipt contradicts itself: its positions, leaf hashes and tree size do not fit".to_owned()
            );
        }
        for (position, leaf) in (receipt.first_position..).zip(&receipt.leaf_hashes) {
            let there = self.inclusion.iter().any(|proof| proof.position == position && proof.leaf_hash == *leaf);
            if !there {
                return Err(format!("nothing proves the receipt's event at position {position}"));
            }
        }
        self.consistent(receipt.tree_size, &receipt.root, tree).map_err(|error| format!("the receipt: {error}"))
    }

    fn follows(&self, kept: &str, tree: &Checkpoint, keys: &[Verifier]) -> Result<u64, String> {
        let named = |error: String| format!("the kept checkpoint: {error}");
        let kept = Checkpoint::open_any(kept, keys).map_err(|error| named(error.to_string()))?;
        if kept.origin != tree.origin {
            return Err(named(format!("it is of the log `{}`, not of `{}`", kept.origin, tree.origin)));
        }
        self.consistent(kept.size, &kept.root, tree).map_err(named)?;
        Ok(kept.size)
    }

    fn consistent(&self, first: u64, first_root: &Digest, tree: &Checkpoint) -> Result<(), String> {
        let proof = self.consistency.as_ref().ok_or("nothing proves that the tree follows on it")?;
        let about = proof.first == first && proof.first_root == *first_root;
        let holds = about
            && (proof.second, &proof.second_root) == (tree.size, &tree.root)
            && verify_consistency(first, tree.size, &proof.path, first_root, &tree.root);
        match holds {
            true => Ok(()),
            false => Err(format!("the tree of {} events does not follow on that of {first}", tree.size)),
        }
    }

    fn holds(&self, event: &Recorded) -> Result<(), String> {
        let leaf = leaf_hash(event).map_err(|error| format!("the event: {error}"))?;
        let position = event.position;
        let proof = self.inclusion.iter().find(|proof| proof.position == position);
        let proof = proof.ok_or_else(|| format!("nothing proves the event at position {position}"))?;
        match proof.leaf_hash == leaf {
            true => Ok(()),
            false => {
                Err(format!("the event at position {position} is not the one that was sealed: its leaf is {leaf}"))
            }
        }
    }
}

fn included(proof: &InclusionProof, tree: &Checkpoint) -> Result<(), String> {
    let InclusionProof { position, leaf_hash, tree_size, root, path } = proof;
    let same = (*tree_size, root) == (tree.size, &tree.root);
    let index = position.checked_sub(1).filter(|_| same);
    match index.is_some_and(|index| verify_inclusion(leaf_hash, index, *tree_size, path, root)) {
        true => Ok(()),
        false => Err(format!("the proof of the event at position {position} does not lead to the signed root")),
    }
}
