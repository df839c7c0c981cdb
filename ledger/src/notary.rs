//! The notary: about every second in which the ledger grew, it signs the tree, keeps the checkpoint, and mirrors it outside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Row;
use tokio_util::sync::CancellationToken;
use xagent_tree::Signer;

use crate::leader::{Led, lead};
use crate::{Lease, Ledger, LedgerError};

const EVERY: Duration = Duration::from_secs(1);

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

/// Signs checkpoints. Runs in every process; one of them signs.
pub struct Notary {
    ledger: Ledger,
    signer: Signer,
    outside: Option<PathBuf>,
}

impl Notary {
    /// Signs the tree of `ledger`; the latest checkpoint is also written to the folder `outside`.
    pub fn new(ledger: Ledger, signer: Signer, outside: Option<PathBuf>) -> Self {
        Self { ledger, signer, outside }
    }

    /// Signs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        lead(&self, &stop).await;
    }

    async fn publish(&self, last: u64) -> Result<u64, LedgerError> {
        const OPERATION: &str = "keep a checkpoint";
        let (size, frontier) = self.ledger.head_frontier().await?;
        let Some(frontier) = frontier.filter(|_| size > last) else { return Ok(last) };
        let note = self.signer.sign(size, frontier.root());
        let sql = "INSERT INTO checkpoints (size, note, verifier) VALUES ($1, $2, $3) ON CONFLICT (size) DO NOTHING";
        let insert = sqlx::query(sql).bind(i64::try_from(size).unwrap_or(i64::MAX)).bind(&note);
        let insert = insert.bind(self.signer.verifier().to_string());
        self.ledger.bounded(OPERATION, insert.execute(&self.ledger.0.pool)).await?;
        if let Some(folder) = &self.outside {
            mirror(folder, &note).await.map_err(|error| LedgerError::Failed {
                operation: "mirror a checkpoint",
                detail: format!("{}: {error}", folder.display()),
            })?;
        }
        Ok(size)
    }
}

impl Led for Notary {
    const KEY: &'static str = "checkpoints";
    type Error = LedgerError;

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    async fn work(&self, lease: &Lease, failures: &mut u32) -> Result<(), LedgerError> {
        let mut last = self.ledger.latest_checkpoint().await?.map_or(0, |checkpoint| checkpoint.size);
        let mut second = tokio::time::interval(EVERY);
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while lease.is_held().await {
            second.tick().await;
            last = self.publish(last).await?;
            *failures = 0;
        }
        Ok(())
    }
}

impl Ledger {
    /// The checkpoint of the largest tree.
    pub async fn latest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, LedgerError> {
        let stored = self.checkpoints(
            "SELECT size, note, verifier FROM checkpoints WHERE size > $1 AND size <= $2 \
                                       ORDER BY size DESC LIMIT 1",
            0,
            u64::MAX,
        );
        Ok(stored.await?.pop())
    }

    /// The checkpoints of trees of more than `after` and at most `to` leaves.
    pub(crate) async fn checkpoints_between(&self, after: u64, to: u64) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        self.checkpoints(
            "SELECT size, note, verifier FROM checkpoints WHERE size > $1 AND size <= $2 ORDER BY size",
            after,
            to,
        )
        .await
    }

    async fn checkpoints(&self, sql: &str, after: u64, to: u64) -> Result<Vec<StoredCheckpoint>, LedgerError> {
        const OPERATION: &str = "read checkpoints";
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let query = sqlx::query(sql).bind(signed(after)).bind(signed(to));
        let rows = self.bounded(OPERATION, query.fetch_all(&self.0.pool)).await?;
        let read = |row: &sqlx::postgres::PgRow| {
            let (note, verifier) = (row.try_get("note")?, row.try_get("verifier")?);
            Ok(StoredCheckpoint { size: crate::read::unsigned(row, "size")?, note, verifier })
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))
    }
}

/// Beside it, then renamed over it: a reader sees the old checkpoint or the new one.
async fn mirror(folder: &Path, note: &str) -> std::io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let (beside, path) = (folder.join("checkpoint.part"), folder.join("checkpoint"));
    tokio::fs::write(&beside, note).await?;
    tokio::fs::rename(&beside, &path).await
}
