//! Merkle tree arithmetic over recorded events (RFC 6962, RFC 9162). Pure: whoever has the hashes can check the ledger.
//!
//! The ledger seals and proves with it; replay and strangers verify with it.

mod batch;
mod checkpoint;
mod frontier;
mod key;
mod note;
mod proof;
mod tile;

pub use batch::{batch_ranges, batch_root};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use frontier::{Frontier, FrontierError, Subtree};
pub use key::{Signer, Verifier};
pub use proof::{Range, consistency_ranges, inclusion_ranges, verify_consistency, verify_inclusion};
pub use tile::{Tile, TileError};

use sha2::{Digest as _, Sha256};
use xagent_domain::{CanonicalError, Digest, Place, Placeless, Recorded};

/// The leaf hash of an event: SHA-256(0x00 || canonical event), RFC 6962 section 2.1.
pub fn leaf_hash(event: &Recorded) -> Result<Digest, CanonicalError> {
    Ok(LeafSeed::new(&event.placeless())?.at(event.place()))
}

/// A leaf hash whose event has no place yet: all but a few bytes of it are hashed.
#[derive(Clone)]
pub struct LeafSeed {
    hasher: Sha256,
    after_place: String,
}

impl LeafSeed {
    /// Of what the event says.
    pub fn new(event: &Placeless<'_>) -> Result<Self, CanonicalError> {
        let mut hasher = Sha256::new().chain_update([0]);
        let after_place = event.around_place(|piece| hasher.update(piece))?;
        Ok(Self { hasher, after_place })
    }

    /// The leaf hash of the event at `place`.
    pub fn at(&self, place: Place) -> Digest {
        let hasher = self.hasher.clone().chain_update(place.to_string()).chain_update(&self.after_place);
        Digest::from_bytes(hasher.finalize().into())
    }
}

/// The hash of an inner node: SHA-256(0x01 || left || right), RFC 6962 section 2.1.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    Digest::from_bytes(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xagent_domain::Tenant;

    #[test]
    fn every_field_of_an_event_is_under_its_leaf_hash() {
        let event = Recorded {
            position: 1,
            tenant: Tenant::default_tenant(),
            aggregate_type: "run".into(),
            aggregate_id: "a".into(),
            sequence: 1,
            event_type: "GoalSet".into(),
            event_version: "1".into(),
            payload: "{}".into(),
            metadata: "{}".into(),
            recorded_at_us: 1,
            leaf_hash: Digest::of(b""),
        };
        let changes: [fn(&mut Recorded); 9] = [
            |e| e.position = 2,
            |e| e.tenant = "other".parse().unwrap(),
            |e| e.aggregate_type = "tool".into(),
            |e| e.aggregate_id = "b".into(),
            |e| e.sequence = 2,
            |e| e.event_type = "x".into(),
            |e| e.event_version = "2".into(),
            |e| e.payload = "{\"a\":1}".into(),
            |e| e.recorded_at_us = 2,
        ];
        let original = leaf_hash(&event).unwrap();
        for change in changes {
            let mut other = event.clone();
            change(&mut other);
            assert_ne!(leaf_hash(&other).unwrap(), original);
        }
    }
}
