//! Sealing: events get their place, time, canonical bytes and leaf hash. Pure, so that batches can be sealed as one.

use xagent_domain::{CanonicalJson, Digest, Event, Metadata, Recorded, Tenant};

use xagent_tree::{Frontier, Subtree};

use crate::LedgerError;

/// Where the next event goes.
pub(crate) struct Place<'a> {
    pub tenant: &'a Tenant,
    pub aggregate_type: &'static str,
    pub aggregate_id: &'a str,
    /// Position of the last event in the ledger.
    pub position: u64,
    /// Sequence of the last event in the stream.
    pub sequence: u64,
    pub recorded_at_us: i64,
}

/// Sealed events, and the tree with them in it.
pub(crate) struct Sealed {
    pub events: Vec<Recorded>,
    pub frontier: Frontier,
    /// Inner nodes that were completed and are to be stored.
    pub nodes: Vec<(Subtree, Digest)>,
}

pub(crate) fn seal<E: Event>(
    events: &[E],
    metadata: &Metadata,
    place: &Place<'_>,
    mut frontier: Frontier,
) -> Result<Sealed, LedgerError> {
    let metadata = CanonicalJson::of(metadata).map_err(|e| unsealable(&e))?.into_string();
    let numbered = events.iter().zip(1_u64..);
    let sealed = numbered.map(|(event, ordinal)| seal_one(event, &metadata, place, ordinal));
    let events = sealed.collect::<Result<Vec<_>, _>>()?;
    let mut nodes = Vec::new();
    for event in &events {
        grow(&mut frontier, event.leaf_hash, &mut nodes);
    }
    Ok(Sealed { events, frontier, nodes })
}

/// Adds a leaf, and keeps the completed nodes that are stored: those of every eighth level.
pub(crate) fn grow(frontier: &mut Frontier, leaf: Digest, nodes: &mut Vec<(Subtree, Digest)>) {
    frontier.push(leaf, |subtree, root| {
        if subtree.level > 0 && subtree.level % 8 == 0 {
            nodes.push((subtree, root));
        }
    });
}

fn seal_one<E: Event>(event: &E, metadata: &str, place: &Place<'_>, ordinal: u64) -> Result<Recorded, LedgerError> {
    let mut recorded = Recorded {
        position: place.position + ordinal,
        tenant: place.tenant.clone(),
        aggregate_type: place.aggregate_type.to_owned(),
        aggregate_id: place.aggregate_id.to_owned(),
        sequence: place.sequence + ordinal,
        event_type: event.event_type().to_owned(),
        event_version: event.event_version().to_owned(),
        payload: CanonicalJson::of(event).map_err(|e| unsealable(&e))?.into_string(),
        metadata: metadata.to_owned(),
        recorded_at_us: place.recorded_at_us,
        leaf_hash: Digest::from_bytes([0; 32]),
    };
    recorded.leaf_hash = xagent_tree::leaf_hash(&recorded).map_err(|e| unsealable(&e))?;
    Ok(recorded)
}

fn unsealable(error: &dyn std::error::Error) -> LedgerError {
    LedgerError::Failed { operation: "seal", detail: error.to_string() }
}
