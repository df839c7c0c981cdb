//! Moving the oldest range to a file: written, read back, held to the tree, and only then taken out of the database.

use std::path::{Path, PathBuf};

use futures::StreamExt;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tokio::sync::mpsc;
use xagent_tree::Range;

use super::file::{Anchor, Archive, Header, failure, name};
use super::held::{Holder, Leaves, Nodes, nodes};
use super::session::{Session, in_time, joined, signed};
use super::write::{finish, unfinished, write};
use super::{MovedRange, held};
use crate::read::unsigned;
use crate::row::COLUMNS;
use crate::{Ledger, LedgerError};

const OPERATION: &str = "move a range to a file";
/// Pieces of the file, and blocks of it, that may wait.
const AHEAD: usize = 64;
/// Blocks whose leaf hashes are stored at once.
const BLOCKS: usize = 128;

impl Ledger {
    /// Moves the oldest range that is here, which has to begin at `first` where that is given, to a file. `owner` is the
    /// database URL of the schema's owner. `progress` hears how many events are written, and then how many are checked.
    pub async fn detach(
        &self,
        owner: &str,
        path: &Path,
        first: Option<u64>,
        mut progress: impl FnMut(u64),
    ) -> Result<MovedRange, LedgerError> {
        if path.file_name().is_none() || path.exists() || unfinished(path).exists() {
            let problem = "it has to be the name of a file that is not there yet, finished or not".to_owned();
            return Err(failure(path, problem));
        }
        let mut session = Session::open(owner, OPERATION).await?;
        let (first, past) = oldest(&mut session, path, first).await?;
        let header = self.header(first, past).await?;
        let checked = written(&mut session, path, header, &mut progress).await;
        if checked.is_err() {
            // Nothing has left the database, and the file is in the way of another attempt.
            drop(std::fs::remove_file(unfinished(path)));
        }
        let range = checked?;
        finish(path)?;
        keep_the_rest(&mut session, &range).await?;
        take_out(&mut session, &range).await?;
        session.execute(OPERATION, "COMMIT").await?;
        session.close().await?;
        Ok(range)
    }

    /// What the file begins with: where the range is in the tree, and in a signed one, where there is one.
    async fn header(&self, first: u64, past: u64) -> Result<Header, LedgerError> {
        let mut before = Vec::new();
        for subtree in (Range { start: 0, end: first - 1 }).subtrees() {
            before.push(self.subtree_root(subtree).await?);
        }
        let latest = self.latest_checkpoint().await?.filter(|checkpoint| checkpoint.size >= past);
        let Some(checkpoint) = latest else { return Ok(Header::new(first, past, before, None)) };
        let proof = self.consistency(past - 1, checkpoint.size).await?;
        let anchor =
            proof.map(|proof| Anchor { note: checkpoint.note, verifier: checkpoint.verifier, consistency: proof.path });
        Ok(Header::new(first, past, before, anchor))
    }
}

/// The oldest range that is here, if it can be moved.
async fn oldest(session: &mut Session, path: &Path, wanted: Option<u64>) -> Result<(u64, u64), LedgerError> {
    let sql = "SELECT first, past, last_position, (SELECT count(*) FROM event_ranges) AS ranges \
               FROM event_ranges, present_head ORDER BY first LIMIT 1";
    let row = in_time(OPERATION, sqlx::query(sql).fetch_one(&mut session.0)).await?;
    let read = |row: &PgRow| {
        let ranges: i64 = row.try_get("ranges")?;
        Ok((unsigned(row, "first")?, unsigned(row, "past")?, unsigned(row, "last_position")?, ranges))
    };
    let (first, past, head, ranges) = read(&row).map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))?;
    let last = past - 1;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != first) {
        let problem = format!("the oldest range here is that from position {first}, not from {wanted}: move it first");
        return Err(failure(path, problem));
    }
    if ranges < 2 || head < past {
        let problem = format!(
            "the range from position {first} ends at {last}, and the ledger is at {head}: only a range that is full and behind can be moved"
        );
        return Err(failure(path, problem));
    }
    Ok((first, past))
}

/// Writes the file under its unfinished name, holds it to the tree, and begins the transaction with its leaf hashes.
async fn written(
    session: &mut Session,
    path: &Path,
    header: Header,
    progress: &mut impl FnMut(u64),
) -> Result<MovedRange, LedgerError> {
    let (first, past) = (header.first, header.past);
    copy_out(session, path, header, progress).await?;
    let archive = Archive::open(&unfinished(path))?;
    let nodes = nodes(&mut session.0, first, past).await?;
    let (sha256, events) = (archive.trailer.sha256, archive.trailer.events);
    session.execute(OPERATION, "BEGIN").await?;
    keep_leaves(session, path, archive, nodes, progress).await?;
    Ok(MovedRange { first, past, file: name(path), sha256, events })
}

/// Writes the range under the unfinished name.
async fn copy_out(
    session: &mut Session,
    path: &Path,
    header: Header,
    progress: &mut impl FnMut(u64),
) -> Result<(), LedgerError> {
    let (first, past) = (header.first, header.past);
    let (sender, receiver) = mpsc::channel(AHEAD);
    let (to, events) = (path.to_owned(), past - first);
    let writer = tokio::task::spawn_blocking(move || write(&to, &header, receiver, events));
    let columns = COLUMNS.join(", ");
    let sql = format!(
        "COPY (SELECT {columns} FROM events WHERE position >= {first} AND position < {past} ORDER BY position) \
         TO STDOUT (FORMAT binary)"
    );
    let mut rows = in_time(OPERATION, session.0.copy_out_raw(&sql)).await?;
    let mut count = 0_u64;
    while let Some(bytes) = in_time(OPERATION, async { rows.next().await.transpose() }).await? {
        // A row a message, as Postgres sends them; the end of the copy is one more.
        count += 1;
        progress(count.min(events));
        if sender.send(bytes).await.is_err() {
            break;
        }
    }
    drop((rows, sender));
    joined(path, writer.await)
}

/// Reads the file back, holds it to the tree, and keeps its leaf hashes.
async fn keep_leaves(
    session: &mut Session,
    path: &Path,
    archive: Archive,
    nodes: Nodes,
    progress: &mut impl FnMut(u64),
) -> Result<(), LedgerError> {
    let (sender, mut blocks) = mpsc::channel(AHEAD);
    let to: PathBuf = path.to_owned();
    let reader = tokio::task::spawn_blocking(move || {
        let mut holder = Holder::new(&to, nodes, archive.header.first, archive.header.past);
        archive.read(|_, rows| {
            let gone = || failure(&to, "its leaf hashes could not be stored".to_owned());
            let whole = holder.take(&rows.unwrap_or_default())?;
            whole.into_iter().try_for_each(|block| sender.blocking_send(block).map_err(|_| gone()))
        })?;
        holder.finish()
    });
    let (mut some, mut count) = (Vec::new(), 0);
    while blocks.recv_many(&mut some, BLOCKS).await > 0 {
        count += some.len() as u64 * held::BLOCK;
        store_leaves(session, std::mem::take(&mut some)).await?;
        progress(count);
    }
    joined(path, reader.await)
}

async fn store_leaves(session: &mut Session, blocks: Vec<Leaves>) -> Result<(), LedgerError> {
    let (indexes, hashes): (Vec<_>, Vec<_>) = blocks.into_iter().map(|(index, hash)| (signed(index), hash)).unzip();
    // They are there already where the range was away before.
    let sql = "INSERT INTO archived_leaves SELECT * FROM unnest($1::bigint[], $2::bytea[]) ON CONFLICT DO NOTHING";
    let insert = sqlx::query(sql).bind(indexes).bind(hashes).execute(&mut session.0);
    in_time(OPERATION, insert).await.map(drop)
}

/// Keys of commands, places of streams, and where the file is.
async fn keep_the_rest(session: &mut Session, range: &MovedRange) -> Result<(), LedgerError> {
    for sql in [include_str!("keep_commands.sql"), include_str!("keep_streams.sql")] {
        let insert = sqlx::query(sql).bind(signed(range.first)).bind(signed(range.past));
        in_time(OPERATION, insert.execute(&mut session.0)).await?;
    }
    let insert =
        sqlx::query("INSERT INTO archived_ranges (first, past, file, sha256, events) VALUES ($1, $2, $3, $4, $5)")
            .bind(signed(range.first))
            .bind(signed(range.past))
            .bind(&range.file)
            .bind(range.sha256.as_bytes().as_slice())
            .bind(signed(range.events));
    in_time(OPERATION, insert.execute(&mut session.0)).await.map(drop)
}

/// From here to the commit nobody else reads or appends events.
async fn take_out(session: &mut Session, range: &MovedRange) -> Result<(), LedgerError> {
    session.take_events(OPERATION).await?;
    let first = range.first;
    let sql = format!(
        "ALTER TABLE events DETACH PARTITION events_from_{first}; DROP TABLE events_from_{first}; \
         DELETE FROM event_ranges WHERE first = {first}"
    );
    session.execute(OPERATION, &sql).await
}
