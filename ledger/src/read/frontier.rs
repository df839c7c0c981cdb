//! The right edge of the tree, as the head row tells of it. The notary signs it, verification compares it.

use sqlx::Row;
use xagent_tree::Frontier;

use super::unsigned;
use crate::{Ledger, LedgerError};

impl Ledger {
    /// What the head row tells of. Without a frontier where its parts contradict each other, or where somebody took the row
    /// away; then the last event is the end.
    pub(crate) async fn head_frontier(&self) -> Result<(u64, Option<Frontier>), LedgerError> {
        const OPERATION: &str = "read the head";
        let failed = |error: sqlx::Error| LedgerError::database(OPERATION, &error);
        let query = sqlx::query("SELECT last_position, frontier FROM present_head");
        let Some(row) = self.bounded(OPERATION, query.fetch_optional(&self.0.pool)).await? else {
            let query = sqlx::query("SELECT coalesce(max(position), 0) AS position FROM events");
            let row = self.bounded(OPERATION, query.fetch_one(&self.0.pool)).await?;
            return Ok((unsigned(&row, "position").map_err(failed)?, None));
        };
        let read = || Ok((unsigned(&row, "last_position")?, row.try_get("frontier")?));
        let (end, bytes): (u64, Vec<u8>) = read().map_err(failed)?;
        Ok((end, Frontier::from_bytes(end, &bytes).ok()))
    }
}
