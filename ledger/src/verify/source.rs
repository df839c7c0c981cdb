//! Where rows come from: the database or the file of an archived range. A task reads ahead, within a bound, while other
//! cores hash what was read; what comes out is in order.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Executor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::inspect::{Checked, inspect};
use super::marks::{SPAN, failed};
use crate::archive::Archive;
use crate::connect::SESSION;
use crate::row::{COLUMNS, Row, Rows};
use crate::{Ledger, LedgerError};

/// Chunks that are read ahead.
const AHEAD: usize = 8;
/// How long the database may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
const OPERATION: &str = "read events";

/// A span is read by one statement, as fast as it is checked: no command, so it has more time than one.
const READING: &str = "SET statement_timeout = '10min'";

type Ahead = Result<JoinHandle<Vec<Checked>>, LedgerError>;

/// Rows with their leaf hashes, in order. The task behind it ends with it.
pub(super) struct Source {
    ahead: mpsc::Receiver<Ahead>,
    reader: JoinHandle<()>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Source {
    /// The events after position `after`, up to `to`, from the database.
    pub(super) fn database(ledger: &Ledger, after: u64, to: u64) -> Self {
        let (sender, ahead) = mpsc::channel(AHEAD);
        let ledger = ledger.clone();
        let reader = tokio::spawn(async move {
            if let Err(error) = read(&ledger, after, to, &sender).await {
                // Who asked may have stopped listening.
                drop(sender.send(Err(error)).await);
            }
        });
        Self { ahead, reader }
    }

    /// The events of an archived range, from its file.
    pub(super) fn file(archive: Archive) -> Self {
        let (sender, ahead) = mpsc::channel(AHEAD);
        let runtime = tokio::runtime::Handle::current();
        let reader = tokio::task::spawn_blocking(move || {
            let gone = || LedgerError::Failed { operation: OPERATION, detail: "nobody listens".to_owned() };
            let send = |ahead| sender.blocking_send(ahead).map_err(|_| gone());
            let read = archive.read(|_, rows| match rows.filter(|rows| !rows.is_empty()) {
                Some(rows) => send(Ok(runtime.spawn_blocking(move || inspect(rows)))),
                None => Ok(()),
            });
            if let Err(error) = read {
                // Who asked may have stopped listening.
                drop(send(Err(error)));
            }
        });
        Self { ahead, reader }
    }

    /// The next rows; nothing at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Checked>>, LedgerError> {
        match self.ahead.recv().await {
            Some(rows) => rows?.await.map(Some).map_err(|error| failed(&error)),
            None => Ok(None),
        }
    }
}

async fn read(ledger: &Ledger, after: u64, to: u64, sender: &mpsc::Sender<Ahead>) -> Result<(), LedgerError> {
    let database = |error: sqlx::Error| LedgerError::database(OPERATION, &error);
    let connected = async {
        let mut connection = ledger.0.pool.connect_options().connect().await?;
        connection.execute(SESSION).await?;
        connection.execute(READING).await?;
        Ok::<_, sqlx::Error>(connection)
    };
    let mut connection = in_time(connected).await?.map_err(database)?;
    let mut from = after;
    while from < to {
        let span_end = to.min((from / SPAN + 1) * SPAN);
        let mut copy = in_time(copy(&mut connection, from, span_end)).await?.map_err(database)?;
        let mut rows = Rows::default();
        while let Some(bytes) = in_time(copy.next()).await? {
            rows.feed(&bytes.map_err(database)?).map_err(malformed)?;
            if let Some(chunk) = rows.full()
                && !send(sender, chunk).await
            {
                return Ok(());
            }
        }
        if !send(sender, rows.finish().map_err(malformed)?).await {
            return Ok(());
        }
        from = span_end;
    }
    Ok(())
}

async fn copy(
    connection: &mut PgConnection,
    after: u64,
    to: u64,
) -> Result<BoxStream<'_, Result<Bytes, sqlx::Error>>, sqlx::Error> {
    let columns = COLUMNS.join(", ");
    let sql = format!(
        "COPY (SELECT {columns} FROM events WHERE position > {after} AND position <= {to} ORDER BY position) \
         TO STDOUT (FORMAT binary)"
    );
    connection.copy_out_raw(&sql).await
}

/// Has the rows hashed, and passes them on; tells whether anybody listens.
async fn send(sender: &mpsc::Sender<Ahead>, rows: Vec<Row>) -> bool {
    if rows.is_empty() {
        return true;
    }
    let Ok(room) = sender.reserve().await else { return false };
    room.send(Ok(tokio::task::spawn_blocking(move || inspect(rows))));
    true
}

async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, LedgerError> {
    let late = |_| LedgerError::Unavailable { operation: OPERATION, detail: "no answer in time".to_owned() };
    tokio::time::timeout(PATIENCE, work).await.map_err(late)
}

fn malformed(error: crate::row::Malformed) -> LedgerError {
    LedgerError::Failed { operation: OPERATION, detail: error.to_string() }
}
