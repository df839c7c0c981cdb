//! Connecting to the query tables: one pool that may only read, one that may only write them.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool, Row as _};
use tokio::sync::Semaphore;

use super::TablesError;

/// Whole answers at once; each holds a connection.
const EXPORTS: usize = 4;
/// How long one question may take.
pub(crate) const READ: Duration = Duration::from_secs(5);

const READER: &str = "SET ROLE xagent_reader; SET default_transaction_read_only = on; SET statement_timeout = '5s'; \
                      SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '30s'; SET TIME ZONE 'UTC'";
/// Views can be filled again: nobody has to wait for the disk.
pub(crate) const WRITER: &str = "SET ROLE xagent_projector; SET synchronous_commit = off; SET statement_timeout = '60s'; \
                      SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '60s'; SET TIME ZONE 'UTC'";

/// The query tables of one database. Cheap to clone.
#[derive(Clone)]
pub struct Tables {
    pub(super) reader: PgPool,
    pub(super) writer: PgPool,
    /// Whole answers that may be under way at once.
    pub(super) exports: Arc<Semaphore>,
}

impl Tables {
    /// In the database at `url`. Connects when first used, so that it may be away at start.
    pub fn connect(url: &str) -> Result<Self, TablesError> {
        let exports = Arc::new(Semaphore::new(EXPORTS));
        Ok(Self { reader: pool(url, 8, READER)?, writer: pool(url, 2, WRITER)?, exports })
    }

    /// The position up to which every event is in the tables.
    pub async fn position(&self) -> Result<u64, TablesError> {
        self.position_in("views").await.map(|(position, _)| position)
    }

    /// The same of a schema, with how many events could not be read.
    pub(super) async fn position_in(&self, schema: &str) -> Result<(u64, u64), TablesError> {
        const OPERATION: &str = "read the position";
        let sql = format!("SELECT position, unreadable FROM {schema}.position");
        let row = within(READ, OPERATION, sqlx::query(&sql).fetch_one(&self.reader)).await?;
        let read = || Ok((unsigned(&row, "position")?, unsigned(&row, "unreadable")?));
        read().map_err(|error: sqlx::Error| TablesError::database(OPERATION, &error))
    }
}

pub(crate) fn unsigned(row: &sqlx::postgres::PgRow, column: &str) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Does one thing within its time.
pub(crate) async fn within<T>(
    patience: Duration,
    operation: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, TablesError> {
    match tokio::time::timeout(patience, work).await {
        Ok(result) => result.map_err(|error| TablesError::database(operation, &error)),
        Err(_) => Err(TablesError::Unavailable { operation, detail: "no answer in time".to_owned() }),
    }
}

/// A pool that connects when first used; each connection begins with `session`.
pub(crate) fn pool(url: &str, connections: u32, session: &'static str) -> Result<PgPool, TablesError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| TablesError::Failed {
        operation: "connect",
        detail: "the database URL is not of the form postgres://user:password@host:port/database".to_owned(),
    })?;
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(3))
        .after_connect(move |connection, _| Box::pin(async move { connection.execute(session).await.map(drop) }));
    Ok(pool.connect_lazy_with(options.application_name("xagent views")))
}
