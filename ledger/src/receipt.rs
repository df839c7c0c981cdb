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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
}
