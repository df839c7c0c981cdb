//! Verified reads: each event is held against its leaf hash and its place before it is believed.

use xagent_domain::{Decider, Digest, Event, Recorded, Tenant, Unreadable, read};

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

/// An aggregate on its way from its events.
pub(crate) struct Fold<D> {
    pub state: D,
    /// The last event in it.
    pub sequence: u64,
    /// That event's leaf hash, where it was read or appended just now.
    pub leaf: Option<Digest>,
    /// Where the stream's last snapshot is; 0 where there is none that is known.
    pub snapshot: u64,
    /// Bytes of the state as it is written, where that is known.
    pub weight: Option<usize>,
}

impl<D: Decider> Default for Fold<D> {
    fn default() -> Self {
        Self { state: D::default(), sequence: 0, leaf: None, snapshot: 0, weight: None }
    }
}

impl Ledger {
    /// The present state of an aggregate: what this process knows of it, or its snapshot, with the events since.
    pub async fn load<D: Decider>(&self, tenant: &Tenant, aggregate_id: &str) -> Result<Loaded<D>, LedgerError> {
        let mut fold: Fold<D> = match self.recall(tenant, aggregate_id) {
            Some(known) => known,
            None => match self.begin(tenant, aggregate_id, u64::MAX).await? {
                Some(begun) => begun,
                None => return Ok(Loaded { state: D::default(), sequence: 0 }),
            },
        };
        self.follow(tenant, aggregate_id, &mut fold, u64::MAX).await?;
        let (state, sequence) = (fold.state.clone(), fold.sequence);
        // Nothing was read of what was known already, or of what does not exist.
        if fold.leaf.is_some() {
            self.remember(tenant, aggregate_id, fold);
        }
        Ok(Loaded { state, sequence })
    }

    /// The state of an aggregate as of `sequence`, or the present one where the stream is shorter.
    pub async fn load_at<D: Decider>(
        &self,
        tenant: &Tenant,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Loaded<D>, LedgerError> {
        let begun = self.begin(tenant, aggregate_id, sequence).await?;
        let Some(mut fold) = begun else { return Ok(Loaded { state: D::default(), sequence: 0 }) };
        self.follow(tenant, aggregate_id, &mut fold, sequence).await?;
        Ok(Loaded { state: fold.state, sequence: fold.sequence })
    }

    /// Reads the events from where `fold` is up to `sequence`, and folds them.
    pub(crate) async fn follow<D: Decider>(
        &self,
        tenant: &Tenant,
        aggregate_id: &str,
        fold: &mut Fold<D>,
        sequence: u64,
    ) -> Result<(), LedgerError> {
        while fold.sequence < sequence {
            let wanted = u32::try_from(sequence - fold.sequence).unwrap_or(PAGE).min(PAGE);
            let page = self.stream(tenant, D::TYPE, aggregate_id, fold.sequence, wanted).await?;
            for recorded in &page {
                let event = verified(recorded, fold.sequence + 1)?;
                fold.state.evolve(event.event());
                (fold.sequence, fold.leaf, fold.weight) = (event.sequence(), Some(recorded.leaf_hash), None);
            }
            if page.len() < wanted as usize {
                break;
            }
        }
        Ok(())
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
