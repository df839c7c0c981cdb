//! The owner's session that moves a range: nobody else moves one meanwhile, and each step is bounded in time.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use rand::Rng;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, Row};

use super::MOVING;
use super::file::failure;
use crate::LedgerError;

/// How long one statement may take; moving millions of rows takes minutes.
pub(super) const PATIENCE: Duration = Duration::from_secs(3600);
const SESSION: &str = "SET synchronous_commit = on; SET lock_timeout = '2s'; SET statement_timeout = '1h'";
/// How often the lock on all events is asked for; readers and appenders go first.
const ATTEMPTS: u32 = 20;

pub(super) struct Session(pub PgConnection);

impl Session {
    /// Connects as the owner, and sees to it that nobody else moves a range or verifies.
    pub(super) async fn open(url: &str, operation: &'static str) -> Result<Self, LedgerError> {
        let options = PgConnectOptions::from_str(url).map_err(|_| LedgerError::Failed {
            operation,
            detail: "the database URL is not of the form postgres://user:password@host:port/database".to_owned(),
        })?;
        let opened = async {
            let mut connection = PgConnection::connect_with(&options.application_name("xagent")).await?;
            connection.execute(SESSION).await?;
            let lock = sqlx::query("SELECT pg_try_advisory_lock($1)").bind(MOVING);
            let taken: bool = lock.fetch_one(&mut connection).await?.try_get(0)?;
            Ok(taken.then_some(Self(connection)))
        };
        let busy = || LedgerError::Unavailable {
            operation,
            detail: "the ledger is being verified, or another range moved; try again when that is done".to_owned(),
        };
        in_time(operation, opened).await?.ok_or_else(busy)
    }

    /// Runs one statement that is not prepared: it names tables.
    pub(super) async fn execute(&mut self, operation: &'static str, sql: &str) -> Result<(), LedgerError> {
        in_time(operation, async { self.0.execute(sql).await.map(drop) }).await
    }

    /// Takes `events` for itself, within the transaction: it lets others pass again and again until nobody holds it.
    pub(super) async fn take_events(&mut self, operation: &'static str) -> Result<(), LedgerError> {
        // Whoever comes after it waits as long as it does, so it does not wait long.
        let begin = "SELECT pg_advisory_xact_lock(7281094553); SET LOCAL lock_timeout = '300ms'; SAVEPOINT before_lock";
        self.execute(operation, begin).await?;
        for attempt in 1..=ATTEMPTS {
            match self.execute(operation, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await {
                Err(error) if error.is_unavailable() && attempt < ATTEMPTS => {
                    self.execute(operation, "ROLLBACK TO SAVEPOINT before_lock").await?;
                    let pause = rand::rng().random_range(50..=100_u64 << attempt.min(5));
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                taken => return taken,
            }
        }
        Ok(())
    }

    pub(super) async fn close(self) -> Result<(), LedgerError> {
        in_time("close", self.0.close()).await
    }
}

pub(super) async fn in_time<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, LedgerError> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result.map_err(|error| LedgerError::database(operation, &error)),
        Err(_) => Err(LedgerError::Unavailable { operation, detail: "no answer in an hour".to_owned() }),
    }
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What was said while a task worked on `path`.
pub(super) fn joined<T>(
    path: &Path,
    result: Result<Result<T, LedgerError>, tokio::task::JoinError>,
) -> Result<T, LedgerError> {
    result.unwrap_or_else(|error| Err(failure(path, error.to_string())))
}
