//! The appender's own connection: no pool to ask, its statements stay prepared, and the lock it may hold goes with it.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Connection, Executor, PgConnection, Postgres, Row};
use xagent_domain::Digest;

use super::batch::Batch;
use super::statement::{Answers, add, answers, ask, write};
use super::{OPERATION, Pending, Stream, failed};
use crate::LedgerError;
use crate::connect::SESSION;
use crate::read::digest;

/// One plan for any arguments, and one that is right for a large ledger though it is made while the ledger is small: all
/// that appending looks up, it looks up by an index.
const PLANS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
                     SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";

/// A connection that is made when it is needed, and given up after an error.
pub(super) struct Link {
    connect: PgConnectOptions,
    connection: Option<PgConnection>,
    patience: Duration,
    /// Whether the session holds the lock since it asked.
    holding: bool,
}

impl Link {
    /// Not connected yet; each call may take `patience`.
    pub(super) fn new(connect: PgConnectOptions, patience: Duration) -> Self {
        Self { connect, connection: None, patience, holding: false }
    }

    /// Writes a batch; tells whether the ledger was where the batch says. The lock is given up.
    pub(super) async fn write(&mut self, batch: &Batch) -> Result<bool, LedgerError> {
        let row = self.row(write(batch, self.holding)).await?;
        self.holding = false;
        row.try_get(0).map_err(|error| LedgerError::database(OPERATION, &error))
    }

    /// The same for a batch that is plain, of a session that does not hold the lock.
    pub(super) async fn add(&mut self, batch: &Batch) -> Result<bool, LedgerError> {
        let row = self.row(add(batch)).await?;
        row.try_get(0).map_err(|error| LedgerError::database(OPERATION, &error))
    }

    /// Takes the lock, and finds out where everything is.
    pub(super) async fn ask(&mut self, streams: &[Stream], commands: &[Pending]) -> Result<Answers, LedgerError> {
        if self.holding {
            self.hang_up();
        }
        let row = self.row(ask(streams, commands)).await?;
        self.holding = true;
        answers(&row).map_err(|error| LedgerError::database(OPERATION, &error))
    }

    /// Gives up the lock where there is nothing to write.
    pub(super) async fn release(&mut self) -> Result<(), LedgerError> {
        let sql = "SELECT pg_advisory_unlock(7281094552), set_config('idle_session_timeout', '0', false)";
        self.row(sqlx::query(sql)).await?;
        self.holding = false;
        Ok(())
    }

    /// The leaf hashes of the events after position `after` up to `last`.
    pub(super) async fn leaves(&mut self, after: u64, last: u64) -> Result<Vec<Digest>, LedgerError> {
        let sql = "SELECT coalesce(array_agg(leaf_hash ORDER BY position), '{}') FROM events \
                   WHERE position > $1 AND position <= $2";
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let row = self.row(sqlx::query(sql).bind(signed(after)).bind(signed(last))).await?;
        let read = || -> Result<Vec<Digest>, sqlx::Error> {
            let leaves: Vec<Vec<u8>> = row.try_get(0)?;
            leaves.iter().map(|leaf| digest(leaf, "leaf_hash")).collect()
        };
        read().map_err(|error| LedgerError::database(OPERATION, &error))
    }

    /// Gives up the connection, and with it the lock.
    pub(super) fn hang_up(&mut self) {
        (self.connection, self.holding) = (None, false);
    }

    async fn row(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<PgRow, LedgerError> {
        let work = async {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                none => {
                    let mut fresh = PgConnection::connect_with(&self.connect).await?;
                    fresh.execute(SESSION).await?;
                    fresh.execute(PLANS).await?;
                    none.insert(fresh)
                }
            };
            query.fetch_one(connection).await
        };
        let result = match tokio::time::timeout(self.patience, work).await {
            Ok(result) => result.map_err(|error| LedgerError::database(OPERATION, &error)),
            Err(_) => Err(super::late()),
        };
        // After a mere refusal, of a key for instance, the connection is as good as before.
        if let Err(error) = &result
            && (self.holding || error.is_unavailable())
        {
            self.hang_up();
        }
        result
    }
}

/// The answer was not one that can be given there.
pub(super) fn out_of_turn() -> LedgerError {
    failed("the ledger moved under its lock")
}
