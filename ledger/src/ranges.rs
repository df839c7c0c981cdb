//! Ranges of events ahead of the head: whoever appends sees to it that there always is one. Appends tell how far they are.
//!
//! Each process that appends does it by itself, so that none depends on another one that runs; the database lets one at a
//! time do it, and adds nothing that is there already. What is added is the width of whoever was first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::LedgerError;
use crate::connect::within;
use crate::pause::pause;

const OPERATION: &str = "add a range of events";
/// How long to wait after a failure, at most.
const LONGEST_PAUSE_MS: u64 = 5000;

/// Where the appends of a process tell how far they are.
#[derive(Default)]
pub(crate) struct Ranges {
    /// The position from which on a range has to be added; 0 until that is known.
    due: AtomicU64,
    wanted: Notify,
}

impl Ranges {
    /// The head is at least at `position`.
    pub(crate) fn reached(&self, position: u64) {
        if position >= self.due.load(Ordering::Relaxed) {
            self.wanted.notify_one();
        }
    }

    /// An append found no range for its events.
    pub(crate) fn lacking(&self) {
        self.wanted.notify_one();
    }
}

/// Adds ranges of `width` positions.
pub(crate) struct Extender {
    pub pool: PgPool,
    pub width: u64,
    /// How long adding one may take.
    pub patience: Duration,
}

impl Extender {
    /// Starts the task that adds ranges whenever `ranges` tells that they are due. It lives until it is aborted.
    pub(crate) fn start(self, ranges: Arc<Ranges>) -> AbortHandle {
        let task = async move {
            loop {
                ranges.wanted.notified().await;
                self.extend(&ranges).await;
            }
        };
        tokio::spawn(task).abort_handle()
    }

    /// Adds ranges until none is due any more.
    async fn extend(&self, ranges: &Ranges) {
        let mut failures = 0_u32;
        loop {
            match self.add().await {
                Ok((added, due)) => {
                    ranges.due.store(due, Ordering::Relaxed);
                    let Some(first) = added else { return };
                    tracing::info!(first, width = self.width, "ledger.range.added");
                    failures = 0;
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::error!(error = %error, failures, width = self.width, "ledger.range.failed");
                    tokio::time::sleep(pause(failures, LONGEST_PAUSE_MS)).await;
                }
            }
        }
    }

    /// The first position of the range that was added, if one was due, and where the next one is.
    async fn add(&self) -> Result<(Option<i64>, u64), LedgerError> {
        let width = i64::try_from(self.width).unwrap_or(i64::MAX);
        let query = sqlx::query("SELECT added, due FROM add_range($1)").bind(width);
        let row = within(self.patience, OPERATION, query.fetch_one(&self.pool)).await?;
        let read = |row: &PgRow| Ok((row.try_get("added")?, row.try_get::<i64, _>("due")?));
        let (added, due) = read(&row).map_err(|error: sqlx::Error| LedgerError::database(OPERATION, &error))?;
        Ok((added, u64::try_from(due).unwrap_or(0)))
    }
}
