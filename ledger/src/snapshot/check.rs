//! Comparing snapshots with the events they are of, for whoever verifies: they are folded anew from the first one on.

use sqlx::Row;
use sqlx::postgres::PgRow;
use xagent_domain::access::Access;
use xagent_domain::bundle::Bundles;
use xagent_domain::run::Run;
use xagent_domain::tool::Tool;
use xagent_domain::{CODE, Decider, Tenant};

use crate::read::{Fold, signed, undecodable, unsigned};
use crate::{Ledger, LedgerError};

const OPERATION: &str = "check snapshots";
/// Snapshots that are told of at most.
const TOLD: usize = 100;

/// What was found of the snapshots by this code.
#[derive(Default)]
pub(crate) struct Checked {
    /// How many were compared.
    pub compared: u64,
    /// Streams and sequences of those that say something else than the events.
    pub differ: Vec<(String, u64)>,
}

/// A snapshot as it is kept.
struct Kept {
    tenant: Tenant,
    aggregate_type: String,
    aggregate_id: String,
    sequence: u64,
    state: Vec<u8>,
}

impl Ledger {
    /// Compares all snapshots by this code whose events are here; what other code folded is not taken for anything.
    pub(crate) async fn check_snapshots(&self) -> Result<Checked, LedgerError> {
        let (mut checked, mut last) = (Checked::default(), None);
        while let Some(kept) = self.snapshot_after(last.as_ref()).await? {
            if let Some(fits) = self.fits(&kept).await? {
                checked.compared += 1;
                if !fits && checked.differ.len() < TOLD {
                    checked.differ.push((format!("{}/{}", kept.aggregate_type, kept.aggregate_id), kept.sequence));
                }
            }
            last = Some(kept);
        }
        Ok(checked)
    }

    async fn snapshot_after(&self, last: Option<&Kept>) -> Result<Option<Kept>, LedgerError> {
        let query = sqlx::query(include_str!("next.sql"))
            .bind(CODE)
            .bind(last.map_or("", |last| last.tenant.as_str()))
            .bind(last.map_or("", |last| last.aggregate_type.as_str()))
            .bind(last.map_or("", |last| last.aggregate_id.as_str()))
            .bind(last.map_or(0, |last| signed(last.sequence)));
        let row = self.bounded(OPERATION, query.fetch_optional(&self.0.pool)).await?;
        let read = |row: PgRow| {
            let tenant: String = row.try_get("tenant")?;
            Ok(Kept {
                tenant: tenant.parse().map_err(|error: xagent_domain::IdError| undecodable("tenant", error))?,
                aggregate_type: row.try_get("aggregate_type")?,
                aggregate_id: row.try_get("aggregate_id")?,
                sequence: unsigned(&row, "sequence")?,
                state: row.try_get("state")?,
            })
        };
        row.map(read).transpose().map_err(|error: sqlx::Error| LedgerError::database(OPERATION, &error))
    }

    /// Whether a snapshot is what its events fold to; nothing where that cannot be told.
    async fn fits(&self, kept: &Kept) -> Result<Option<bool>, LedgerError> {
        let folded = match kept.aggregate_type.as_str() {
            Run::TYPE => self.folded::<Run>(kept).await,
            Bundles::TYPE => self.folded::<Bundles>(kept).await,
            Tool::TYPE => self.folded::<Tool>(kept).await,
            Access::TYPE => self.folded::<Access>(kept).await,
            _ => return Ok(Some(false)),
        };
        match folded {
            Ok(state) => Ok(Some(state.is_some_and(|state| state == kept.state))),
            // Events that are archived, or do not hold themselves, tell nothing of a snapshot.
            Err(LedgerError::Archived { .. } | LedgerError::Tampered { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The state as it would be kept; nothing where the stream is not that long.
    async fn folded<D: Decider>(&self, kept: &Kept) -> Result<Option<Vec<u8>>, LedgerError> {
        let mut fold = Fold::<D>::default();
        self.follow(&kept.tenant, &kept.aggregate_id, &mut fold, kept.sequence).await?;
        let failed = |error: serde_json::Error| LedgerError::Failed { operation: OPERATION, detail: error.to_string() };
        let state = serde_json::to_vec(&fold.state).map_err(failed)?;
        Ok(Some(state).filter(|_| fold.sequence == kept.sequence))
    }
}
