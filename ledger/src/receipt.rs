//! What an accepted command is promised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_domain::{CommandId, Digest};

/// What makes a repeated command the same: the caller's key and the digest of what it asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandKey {
    /// The idempotency key.
    pub id: CommandId,
    /// Digest of the command's body.
    pub body: Digest,
}

/// Where a command's events stand. Empty where the command changed nothing: then `first_position` is past `last_position`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Position of the first event.
    pub first_position: u64,
    /// Position of the last event.
    pub last_position: u64,
    /// The stream.
    pub aggregate_id: String,
    /// The stream's sequence after the command.
    pub sequence: u64,
    /// Leaf hashes of the events, in order.
    pub leaf_hashes: Vec<Digest>,
    /// Leaves in the tree once these events were in it.
    pub tree_size: u64,
    /// Root of that tree (RFC 6962 section 2.1).
    pub root: Digest,
    /// Whether it was promised before, to an equal command with the same key.
    #[serde(skip)]
    pub repeated: bool,
}

/// Equal is what promises the same, first or again.
impl PartialEq for Receipt {
    fn eq(&self, other: &Self) -> bool {
        let promised =
            |receipt: &Self| (receipt.first_position, receipt.last_position, receipt.sequence, receipt.tree_size);
        promised(self) == promised(other)
            && self.aggregate_id == other.aggregate_id
            && self.leaf_hashes == other.leaf_hashes
            && self.root == other.root
    }
}

impl Eq for Receipt {}

impl Receipt {
    /// The stream's sequence before the command.
    pub fn before(&self) -> u64 {
        self.sequence.saturating_sub(self.leaf_hashes.len() as u64)
    }
}
