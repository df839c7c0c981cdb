//! What a checkpoint that is kept outside says about this ledger: the one thing who owns the database cannot rewrite.

use std::fmt;

use xagent_domain::Digest;
use xagent_tree::{Checkpoint, Verifier};

use super::Notary;
use crate::LedgerError;

/// How a checkpoint from outside and this ledger stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outside {
    /// It is of the first `size` events of this ledger.
    Holds {
        /// Leaves in its tree.
        size: u64,
    },
    /// It is of more events than there are.
    Ahead {
        /// Leaves in its tree.
        size: u64,
        /// Events there are.
        events: u64,
    },
    /// It is of another tree.
    Contradicts {
        /// Leaves in its tree.
        size: u64,
        /// Its root.
        signed: Digest,
        /// The root of the ledger's tree of that size.
        found: Digest,
    },
    /// No key of this ledger signed it, or it is no checkpoint.
    Foreign {
        /// Why not.
        detail: String,
    },
}

impl Notary {
    /// Holds the ledger to a note that was found outside.
    pub async fn judge(&self, note: &str) -> Result<Outside, LedgerError> {
        let ledger = &self.0.ledger;
        let mut keys = self.verifiers();
        let kept = ledger.checkpoint_keys().await?;
        keys.extend(kept.iter().filter_map(|key| key.verifier.parse::<Verifier>().ok()));
        let (size, signed) = match Checkpoint::open_any(note, &keys) {
            Ok(Checkpoint { size, root, .. }) => (size, root),
            Err(error) => return Ok(Outside::Foreign { detail: error.to_string() }),
        };
        let events = ledger.head().await?.position;
        if size > events {
            return Ok(Outside::Ahead { size, events });
        }
        let found = ledger.root_at(size).await?;
        Ok(if found == signed { Outside::Holds { size } } else { Outside::Contradicts { size, signed, found } })
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds { size } => write!(f, "it is of the first {size} events of this ledger"),
            Self::Ahead { size, events } => write!(
                f,
                "a tree of {size} events was signed, and there are {events}: the ledger was cut off, or restored from an old copy"
            ),
            Self::Contradicts { size, signed, found } => write!(
                f,
                "the tree of {size} events was signed with the root {signed}, and is {found}: the history was rewritten, or this is another ledger"
            ),
            Self::Foreign { detail } => write!(f, "it is not of this ledger: {detail}"),
        }
    }
}
