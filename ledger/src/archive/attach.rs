//! Moving a range back from its file: held to the tree while it is read in, and attached only where all of it holds.

use std::path::Path;

use bytes::Bytes;
use sqlx::Row as _;
use tokio::sync::mpsc;

use super::MovedRange;
use super::file::{Archive, failure};
use super::held::{Holder, nodes};
use super::session::{Session, in_time, joined, signed};
use crate::read::unsigned;
use crate::row::COLUMNS;
use crate::{Ledger, LedgerError};

const OPERATION: &str = "move a range back from its file";
/// Pieces of the file that may wait.
const AHEAD: usize = 16;

impl Ledger {
    /// Moves the range in the file at `path`, the youngest that is away, back into the database. `owner` is the database
    /// URL of the schema's owner. `progress` hears how many events are read in.
    pub async fn attach(
        &self,
        owner: &str,
        path: &Path,
        mut progress: impl FnMut(u64),
    ) -> Result<MovedRange, LedgerError> {
        let archive = Archive::open(path)?;
        let (first, past) = (archive.header.first, archive.header.past);
        let mut session = Session::open(owner, OPERATION).await?;
        youngest(&mut session, &archive).await?;
        let range =
            MovedRange { first, past, file: archive.name(), sha256: archive.trailer.sha256, events: past - first };
        let nodes = nodes(&mut session.0, first, past).await?;
        let create = format!(
            "BEGIN; CREATE TABLE events_from_{first} (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS \
             INCLUDING INDEXES); ALTER TABLE events_from_{first} ADD CONSTRAINT positions CHECK (position >= {first} AND position < {past})"
        );
        session.execute(OPERATION, &create).await?;
        let holder = move |path: &Path, archive: Archive, sender: mpsc::Sender<(Bytes, u64)>| {
            let (mut holder, mut count) = (Holder::new(path, nodes, first, past), 0);
            archive.read(|bytes, rows| {
                let rows = rows.unwrap_or_default();
                holder.take(&rows)?;
                count += rows.len() as u64;
                let gone = || failure(path, "its events could not be stored".to_owned());
                sender.blocking_send((Bytes::copy_from_slice(bytes), count)).map_err(|_| gone())
            })?;
            holder.finish()
        };
        copy_in(&mut session, archive, holder, &mut progress).await?;
        put_in(&mut session, first, past).await?;
        session.execute(OPERATION, "COMMIT").await?;
        session.close().await?;
        Ok(range)
    }
}

/// The range is the youngest that is away.
async fn youngest(session: &mut Session, archive: &Archive) -> Result<(), LedgerError> {
    let sql = "SELECT (SELECT min(first) FROM event_ranges) AS attached_from, \
               (SELECT count(*) FROM archived_ranges WHERE first = $1 AND past = $2) AS known";
    let header = &archive.header;
    let query = sqlx::query(sql).bind(signed(header.first)).bind(signed(header.past));
    let row = in_time(OPERATION, query.fetch_one(&mut session.0)).await?;
    let database = |error: sqlx::Error| LedgerError::database(OPERATION, &error);
    let (from, known) = (unsigned(&row, "attached_from"), row.try_get::<i64, _>("known"));
    let (from, known) = (from.map_err(database)?, known.map_err(database)?);
    if known == 0 || from != header.past {
        let problem = format!(
            "it holds positions {} to {}, and the events here begin at {from}: only the range just before them can come back",
            header.first,
            header.past - 1
        );
        return Err(failure(archive.path(), problem));
    }
    Ok(())
}

/// Copies the file's rows into the new table while `hold` checks them. Where they do not hold, the copy is given up.
async fn copy_in(
    session: &mut Session,
    archive: Archive,
    hold: impl FnOnce(&Path, Archive, mpsc::Sender<(Bytes, u64)>) -> Result<(), LedgerError> + Send + 'static,
    progress: &mut impl FnMut(u64),
) -> Result<(), LedgerError> {
    let (path, first) = (archive.path().to_owned(), archive.header.first);
    let (sender, mut pieces) = mpsc::channel(AHEAD);
    let of = path.clone();
    let reader = tokio::task::spawn_blocking(move || hold(&of, archive, sender));
    let sql = format!("COPY events_from_{first} ({}) FROM STDIN (FORMAT binary)", COLUMNS.join(", "));
    let mut copy = in_time(OPERATION, session.0.copy_in_raw(&sql)).await?;
    while let Some((piece, count)) = pieces.recv().await {
        in_time(OPERATION, async { copy.send(piece).await.map(drop) }).await?;
        progress(count);
    }
    if let Err(error) = joined(&path, reader.await) {
        in_time(OPERATION, copy.abort("the file does not hold")).await?;
        return Err(error);
    }
    in_time(OPERATION, copy.finish()).await.map(drop)
}

/// Makes the new table one of the ranges, with the indexes and triggers of every range. The indexes of `events` and the
/// constraint are there already, so that nobody waits while they are built or checked.
async fn put_in(session: &mut Session, first: u64, past: u64) -> Result<(), LedgerError> {
    let name = format!("events_from_{first}");
    let sql = format!(
        "SELECT finish_range('{name}'); \
         CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON {name} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    );
    session.execute(OPERATION, &sql).await?;
    let sql = format!(
        "SELECT pg_advisory_xact_lock(7281094553); ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({past}); \
         ALTER TABLE {name} DROP CONSTRAINT positions; \
         INSERT INTO event_ranges VALUES ({first}, {past}); DELETE FROM archived_ranges WHERE first = {first}"
    );
    session.execute(OPERATION, &sql).await
}
