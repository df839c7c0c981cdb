//! Ranges of events in files: moving the oldest range away, moving it back, and reading a file while verifying. Moving is
//! the owner's work, like migrating; `docs/archive.md` describes the file and the order of things.

mod attach;
mod detach;
mod file;
mod held;
mod session;
mod write;

use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;
use xagent_domain::Digest;

pub(crate) use file::Archive;

use crate::read::{digest, unsigned};
use crate::{Ledger, LedgerError};

/// The advisory lock that is held alone to move a range, and shared to verify.
pub(crate) const MOVING: i64 = 7_281_094_554;

/// A range that was moved to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MovedRange {
    /// Its first position.
    pub first: u64,
    /// The position after its last.
    pub past: u64,
    /// The file's name, without the folders it was written to.
    pub file: String,
    /// What the file's last line seals it with.
    pub sha256: Digest,
    /// Events in it.
    pub events: u64,
}

impl Ledger {
    /// The ranges whose events were moved to files, the oldest first.
    pub async fn archives(&self) -> Result<Vec<MovedRange>, LedgerError> {
        const OPERATION: &str = "list archived ranges";
        let query = sqlx::query("SELECT first, past, file, sha256, events FROM archived_ranges ORDER BY first");
        let rows = self.bounded(OPERATION, query.fetch_all(&self.0.pool)).await?;
        let read = |row: &PgRow| {
            let sha256: Vec<u8> = row.try_get("sha256")?;
            Ok(MovedRange {
                first: unsigned(row, "first")?,
                past: unsigned(row, "past")?,
                file: row.try_get("file")?,
                sha256: digest(&sha256, "sha256")?,
                events: unsigned(row, "events")?,
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))
    }

    /// The ranges whose events are in the database: first position, and the one after the last.
    pub async fn attached(&self) -> Result<Vec<(u64, u64)>, LedgerError> {
        const OPERATION: &str = "list ranges";
        let query = sqlx::query("SELECT first, past FROM event_ranges ORDER BY first");
        let rows = self.bounded(OPERATION, query.fetch_all(&self.0.pool)).await?;
        let read = |row: &PgRow| Ok((unsigned(row, "first")?, unsigned(row, "past")?));
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))
    }

    /// The first position whose event is in the database.
    pub(crate) async fn attached_from(&self) -> Result<u64, LedgerError> {
        let first = self.attached().await?.first().map(|(first, _)| *first);
        first.ok_or_else(|| LedgerError::Failed {
            operation: "list ranges",
            detail: "event_ranges is empty: run `xagent migrate`".to_owned(),
        })
    }

    /// The error for events that are archived, where the one at `position` is.
    pub(crate) async fn archived_at(&self, position: u64) -> Result<LedgerError, LedgerError> {
        let ranges = self.archives().await?;
        let range = ranges.into_iter().find(|range| (range.first..range.past).contains(&position));
        Ok(LedgerError::Archived { position, file: range.map_or_else(|| "its archive".to_owned(), |range| range.file) })
    }
}
