//! The right edge of the tree, as the head row tells of it. The notary signs it, verification compares it.

use sqlx::Row;
use xagent_tree::Frontier;

use super::unsigned;
use crate::{Ledger, LedgerError};

impl Ledger {
    /// What the head row tells of; without a frontier where its parts contradict each other.
    pub(crate) async fn head_frontier(&self) -> Result<(u64, Option<Frontier>), LedgerError> {
        const OPERATION: &str = "read the head";
        let query = sqlx::query("SELECT last_position, frontier FROM present_head");
        let row = self.bounded(OPERATION, query.fetch_one(&self.0.pool)).await?;
        let read = || Ok((unsigned(&row, "last_position")?, row.try_get("frontier")?));
        let (end, bytes): (u64, Vec<u8>) = read().map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))?;
        Ok((end, Frontier::from_bytes(end, &bytes).ok()))
    }
}
