//! Sealing: events get their place, time, canonical bytes and leaf hash. Pure, so that batches can be sealed as one.

use xagent_domain::{CanonicalJson, Digest, Event, Metadata, Recorded, Tenant};

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

pub(crate) fn seal<E: Event>(
    events: &[E],
    metadata: &Metadata,
    place: &Place<'_>,
) -> Result<Vec<Recorded>, LedgerError> {
    let metadata = CanonicalJson::of(metadata).map_err(|e| unsealable(&e))?.into_string();
    let numbered = events.iter().zip(1_u64..);
    numbered.map(|(event, ordinal)| seal_one(event, &metadata, place, ordinal)).collect()
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
