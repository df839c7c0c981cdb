//! The checkpoints that are kept: every one ever signed, each with the key that checks it.

use sqlx::Row;
use sqlx::postgres::PgRow;
use xagent_domain::Digest;

use super::tampered;
use crate::read::unsigned;
use crate::{Ledger, LedgerError};

const OPERATION: &str = "read checkpoints";

/// A stored checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// Leaves in its tree.
    pub size: u64,
    /// The signed note.
    pub note: String,
    /// The key that checks it.
    pub verifier: String,
}

/// A key that has signed, with the first checkpoint it signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointKey {
    /// `NAME+HASH+KEY`.
    pub verifier: String,
    /// Its first checkpoint, signed by the key before it too where that was at hand.
    pub first: StoredCheckpoint,
}

impl Ledger {
    /// The checkpoint of the largest tree.
    pub async fn latest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, LedgerError> {
        Ok(self.newest_checkpoints(1).await?.pop())
    }

    /// Up to `limit` checkpoints, the largest tree first.
    pub async fn newest_checkpoints(&self, limit: u32) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        let sql = "SELECT size, note, verifier FROM checkpoints ORDER BY size DESC LIMIT $1";
        self.checkpoints(sqlx::query(sql).bind(i64::from(limit))).await
    }

    /// Up to `limit` checkpoints of trees of more than `after` leaves, the smallest first.
    pub async fn checkpoints_after(&self, after: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        let sql = "SELECT size, note, verifier FROM checkpoints WHERE size > $1 ORDER BY size LIMIT $2";
        self.checkpoints(sqlx::query(sql).bind(signed(after)).bind(i64::from(limit))).await
    }

    /// The checkpoints of trees of more than `after` and at most `to` leaves.
    pub(crate) async fn checkpoints_between(&self, after: u64, to: u64) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        let sql = "SELECT size, note, verifier FROM checkpoints WHERE size > $1 AND size <= $2 ORDER BY size";
        self.checkpoints(sqlx::query(sql).bind(signed(after)).bind(signed(to))).await
    }

    /// The keys that have signed, the first one first.
    pub async fn checkpoint_keys(&self) -> Result<Vec<CheckpointKey>, LedgerError> {
        let sql = "SELECT first.* FROM checkpoint_keys, LATERAL (SELECT * FROM checkpoints WHERE size = first_size LIMIT 1) \
                   AS first ORDER BY size LIMIT 1000";
        let kept = self.checkpoints(sqlx::query(sql)).await?;
        Ok(kept.into_iter().map(|first| CheckpointKey { verifier: first.verifier.clone(), first }).collect())
    }

    /// Keeps a checkpoint, and answers with the one that is kept: of one size there is one.
    pub(super) async fn keep_checkpoint(
        &self,
        made: StoredCheckpoint,
        root: Digest,
    ) -> Result<StoredCheckpoint, LedgerError> {
        let insert =
            sqlx::query(include_str!("keep.sql")).bind(signed(made.size)).bind(&made.note).bind(&made.verifier);
        self.bounded("keep a checkpoint", insert.execute(&self.0.pool)).await?;
        let sql = "SELECT size, note, verifier FROM checkpoints WHERE size = $1";
        let kept = self.checkpoints(sqlx::query(sql).bind(signed(made.size))).await?.pop();
        kept.filter(|kept| kept.says(&root)).ok_or_else(|| tampered(made.size, "another tree of this size was signed"))
    }

    async fn checkpoints(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        let rows = self.bounded(OPERATION, query.fetch_all(&self.0.pool)).await?;
        let read = |row: &PgRow| {
            let (note, verifier) = (row.try_get("note")?, row.try_get("verifier")?);
            Ok(StoredCheckpoint { size: unsigned(row, "size")?, note, verifier })
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
