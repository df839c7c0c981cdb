//! Where in the order of positions a moment is. Appends see to it that recorded times never go back (`only_forward` on the
//! head, which gives each batch its time), so that a few events tell.

use super::raw::signed;
use super::unsigned;
use crate::{Ledger, LedgerError};

const OPERATION: &str = "find a moment";

impl Ledger {
    /// The last position up to `to` whose event was recorded before a moment, in microseconds since 1970; 0 where none was.
    /// What is archived counts as before it.
    pub async fn last_before(&self, moment_us: i64, to: u64) -> Result<u64, LedgerError> {
        let (mut low, mut high) = (0, to);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.next_recorded(middle).await? {
                // The event is behind the middle, and all between them are archived.
                Some((position, us)) if us < moment_us => low = position.min(high),
                _ => high = middle,
            }
        }
        let archived = self.attached_from().await?.saturating_sub(1);
        Ok(low.max(archived.min(to)))
    }

    /// Position and time of the first event behind a position that is not archived.
    async fn next_recorded(&self, after: u64) -> Result<Option<(u64, i64)>, LedgerError> {
        let query = sqlx::query(
            "SELECT position, (extract(epoch FROM recorded_at) * 1000000)::bigint AS at FROM events \
             WHERE position > $1 ORDER BY position LIMIT 1",
        );
        let row = self.bounded(OPERATION, query.bind(signed(after)).fetch_optional(&self.0.pool)).await?;
        let read = |row: &sqlx::postgres::PgRow| Ok((unsigned(row, "position")?, sqlx::Row::try_get(row, "at")?));
        row.map(|row| read(&row)).transpose().map_err(|error: sqlx::Error| LedgerError::database(OPERATION, &error))
    }
}
