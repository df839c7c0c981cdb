//! Verified reads: each event is held against its leaf hash and its place before it is believed.

use xagent_domain::{Decider, Event, Recorded, Tenant, Unreadable, read};

use crate::{Committed, Ledger, LedgerError};

/// Events read at once while an aggregate is folded.
const PAGE: u32 = 500;

/// An aggregate folded from its stream.
#[derive(Debug)]
pub struct Loaded<D> {
    /// The state.
    pub state: D,
    /// The sequence of the last event in it; 0 for a stream that does not exist.
    pub sequence: u64,
}

impl Ledger {
    /// The present state of an aggregate.
    pub async fn load<D: Decider>(&self, tenant: &Tenant, aggregate_id: &str) -> Result<Loaded<D>, LedgerError> {
        self.load_at(tenant, aggregate_id, u64::MAX).await
    }

    /// The state of an aggregate as of `sequence`, or the present one where the stream is shorter.
    pub async fn load_at<D: Decider>(
        &self,
        tenant: &Tenant,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Loaded<D>, LedgerError> {
        let mut loaded = Loaded { state: D::default(), sequence: 0 };
        while loaded.sequence < sequence {
            let wanted = u32::try_from(sequence - loaded.sequence).unwrap_or(PAGE).min(PAGE);
            let page = self.committed::<D>(tenant, aggregate_id, loaded.sequence, wanted).await?;
            for event in &page {
                loaded.state.evolve(event.event());
                loaded.sequence = event.sequence();
            }
            if page.len() < wanted as usize {
                break;
            }
        }
        Ok(loaded)
    }

    /// Up to `limit` verified events of a stream after sequence `after`.
    pub async fn committed<D: Decider>(
        &self,
        tenant: &Tenant,
        aggregate_id: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Committed<D::Event>>, LedgerError> {
        let events = self.stream(tenant, D::TYPE, aggregate_id, after, limit).await?;
        events.iter().zip(after + 1..).map(|(event, sequence)| verified(event, sequence)).collect()
    }
}

pub(crate) fn verified<E: Event>(recorded: &Recorded, sequence: u64) -> Result<Committed<E>, LedgerError> {
    let position = recorded.position;
    let tampered = |detail: String| LedgerError::Tampered { position, detail };
    if recorded.sequence != sequence {
        return Err(tampered(format!("sequence {sequence} of {} is missing", recorded.aggregate_id)));
    }
    let leaf = xagent_tree::leaf_hash(recorded).map_err(|error| tampered(error.to_string()))?;
    if leaf != recorded.leaf_hash {
        return Err(tampered(format!("its leaf hash is {leaf}, recorded was {}", recorded.leaf_hash)));
    }
    let undecodable = |column, detail| LedgerError::Undecodable { position, column, detail };
    let event = read(&recorded.event_type, &recorded.event_version, &recorded.payload);
    let event: E = event.map_err(|error| match error {
        Unreadable::Payload(detail) => undecodable("payload", detail),
        Unreadable::Version { .. } => undecodable("event_version", error.to_string()),
    })?;
    Ok(Committed::new(event, position, sequence))
}
