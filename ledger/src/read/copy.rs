//! Reading many events at once: spans of positions by Postgres' binary COPY, in chunks, a bounded number of them ahead of
//! whoever takes them.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Executor};
use tokio::sync::mpsc;

use crate::connect::SESSION;
use crate::row::{COLUMNS, Malformed, Row, Rows};
use crate::{Ledger, LedgerError};

/// Chunks that are read ahead.
pub(crate) const AHEAD: usize = 8;
/// What is being done, in errors.
pub(crate) const COPYING: &str = "read events";
/// Positions that one statement reads.
const SPAN: u64 = 256 * 256;
/// How long the database may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// A span is read by one statement, as fast as it is looked at: no command, so it has more time than one.
const READING: &str = "SET statement_timeout = '10min'";

/// What is read.
pub(crate) struct Copied<'a> {
    /// The position after which it begins.
    pub after: u64,
    /// The last position.
    pub to: u64,
    /// More of the WHERE clause, beginning with `AND`; empty for all events. No text of a caller's stands in it unquoted.
    pub condition: &'a str,
}

/// Reads events in order of position and passes on what `make` makes of each chunk, until nobody takes them any more.
pub(crate) async fn copy<T>(
    ledger: &Ledger,
    copied: &Copied<'_>,
    sender: &mpsc::Sender<T>,
    make: impl Fn(Vec<Row>) -> T,
) -> Result<(), LedgerError> {
    let database = |error: sqlx::Error| LedgerError::database(COPYING, &error);
    let connected = async {
        let mut connection = ledger.0.pool.connect_options().connect().await?;
        connection.execute(SESSION).await?;
        connection.execute(READING).await?;
        Ok::<_, sqlx::Error>(connection)
    };
    let mut connection = in_time(connected).await?.map_err(database)?;
    let mut from = copied.after;
    while from < copied.to {
        let span_end = copied.to.min((from / SPAN + 1) * SPAN);
        let span = Copied { after: from, to: span_end, condition: copied.condition };
        let mut bytes = in_time(begin(&mut connection, &span)).await?.map_err(database)?;
        let mut rows = Rows::default();
        while let Some(bytes) = in_time(bytes.next()).await? {
            rows.feed(&bytes.map_err(database)?).map_err(malformed)?;
            if let Some(chunk) = rows.full()
                && !send(sender, chunk, &make).await
            {
                return Ok(());
            }
        }
        if !send(sender, rows.finish().map_err(malformed)?, &make).await {
            return Ok(());
        }
        from = span_end;
    }
    Ok(())
}

async fn begin<'a>(
    connection: &'a mut PgConnection,
    span: &Copied<'_>,
) -> Result<BoxStream<'a, Result<Bytes, sqlx::Error>>, sqlx::Error> {
    let columns = COLUMNS.join(", ");
    let Copied { after, to, condition } = span;
    let sql = format!(
        "COPY (SELECT {columns} FROM events WHERE position > {after} AND position <= {to} {condition} ORDER BY position) \
         TO STDOUT (FORMAT binary)"
    );
    connection.copy_out_raw(&sql).await
}

/// Passes rows on; tells whether anybody takes them.
async fn send<T>(sender: &mpsc::Sender<T>, rows: Vec<Row>, make: &impl Fn(Vec<Row>) -> T) -> bool {
    if rows.is_empty() {
        return true;
    }
    let Ok(room) = sender.reserve().await else { return false };
    room.send(make(rows));
    true
}

async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, LedgerError> {
    let late = |_| LedgerError::Unavailable { operation: COPYING, detail: "no answer in time".to_owned() };
    tokio::time::timeout(PATIENCE, work).await.map_err(late)
}

fn malformed(error: Malformed) -> LedgerError {
    LedgerError::Failed { operation: COPYING, detail: error.to_string() }
}
