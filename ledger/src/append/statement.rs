//! The one statement that appends: `append_batch` of the migrations.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row};
use xagent_tree::Frontier;

use super::batch::{Batch, Sealed};
use super::{Ground, Pending, Stream, Unplaced, bytes};
use crate::CommandKey;
use crate::read::{undecodable, unsigned};

const SQL: &str = "SELECT * FROM append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
                   $18, $19, $20, $21, $22, $23, $24, $25, $26)";

/// What the statement answers.
pub(super) enum Reply {
    /// The batch is in.
    Done,
    /// It is not. This is where everything is, and the session holds the lock until its next call.
    Held {
        ground: Ground,
        /// Per stream that was named.
        sequences: Vec<u64>,
        /// Per command with a key that was named.
        known: Vec<bool>,
    },
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An event of a batch, from all its sides.
#[derive(Clone, Copy)]
struct Event<'a> {
    command: &'a Pending,
    unplaced: &'a Unplaced,
    sealed: &'a Sealed,
}

impl<'a> Event<'a> {
    fn of(batch: &'a Batch, sealed: &'a Sealed) -> Option<Self> {
        let command = batch.commands.get(sealed.command)?;
        Some(Self { command, unplaced: command.events.get(sealed.event)?, sealed })
    }

    /// The command's key, beside its first event.
    fn key(self) -> Option<&'a CommandKey> {
        self.command.command.as_ref().filter(|_| self.sealed.event == 0)
    }

    /// How many events the key stands for.
    fn count(self) -> Option<i32> {
        self.key().map(|_| i32::try_from(self.command.events.len()).unwrap_or(i32::MAX))
    }
}

/// Writes the batch; `holding` where the session holds the lock since the call before.
pub(super) fn write(batch: &Batch, holding: bool) -> Query<'_, Postgres, PgArguments> {
    let events: Vec<_> = batch.events.iter().filter_map(|sealed| Event::of(batch, sealed)).collect();
    let blobs: Vec<_> = batch.placed().flat_map(|command| &command.blobs).collect();
    let (streams, nodes) = (&batch.streams, &batch.nodes);
    sqlx::query(SQL)
        .bind(signed(batch.after))
        .bind(holding)
        .bind(streams.iter().map(|check| check.stream.0).collect::<Vec<_>>())
        .bind(streams.iter().map(|check| &*check.stream.1).collect::<Vec<_>>())
        .bind(streams.iter().map(|check| check.expected.map(signed)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.command.stream.0).collect::<Vec<_>>())
        .bind(events.iter().map(|event| &*event.command.stream.1).collect::<Vec<_>>())
        .bind(events.iter().map(|event| signed(event.sealed.sequence)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.unplaced.event_type).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.unplaced.event_version).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.unplaced.payload.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.command.metadata.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.command.tenant.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| bytes(&event.sealed.leaf_hash)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.key().map(|key| key.id.as_str())).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.key().map(|key| bytes(&key.body))).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.count()).collect::<Vec<_>>())
        .bind(batch.ground.recorded_at_us)
        .bind(blobs.iter().map(|blob| bytes(&blob.digest)).collect::<Vec<_>>())
        .bind(blobs.iter().map(|blob| blob.media_type.as_str()).collect::<Vec<_>>())
        .bind(blobs.iter().map(|blob| blob.text.as_bytes()).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(subtree, _)| i16::from(subtree.level)).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(subtree, _)| signed(subtree.index)).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(_, hash)| bytes(hash)).collect::<Vec<_>>())
        .bind(batch.ground.frontier.to_bytes())
        .bind(signed(batch.ground.position))
}

/// Asks where the ledger and all streams and keys of the commands are, and takes the lock.
pub(super) fn ask<'q>(
    streams: &'q [Stream],
    commands: &'q [Pending],
    holding: bool,
) -> Query<'q, Postgres, PgArguments> {
    let keyed: Vec<_> = commands.iter().filter_map(|command| Some((command, command.command.as_ref()?))).collect();
    let (texts, numbers, blobs) = (Vec::<&str>::new, Vec::<i64>::new, Vec::<&[u8]>::new);
    sqlx::query(SQL)
        .bind(-1_i64)
        .bind(holding)
        .bind(streams.iter().map(|stream| stream.0).collect::<Vec<_>>())
        .bind(streams.iter().map(|stream| &*stream.1).collect::<Vec<_>>())
        .bind(numbers())
        .bind(texts())
        .bind(texts())
        .bind(numbers())
        .bind(texts())
        .bind(texts())
        .bind(texts())
        .bind(texts())
        .bind(keyed.iter().map(|(command, _)| command.tenant.as_str()).collect::<Vec<_>>())
        .bind(blobs())
        .bind(keyed.iter().map(|(_, key)| key.id.as_str()).collect::<Vec<_>>())
        .bind(blobs())
        .bind(Vec::<i32>::new())
        .bind(0_i64)
        .bind(blobs())
        .bind(texts())
        .bind(blobs())
        .bind(Vec::<i16>::new())
        .bind(numbers())
        .bind(blobs())
        .bind(Vec::<u8>::new())
        .bind(-1_i64)
}

pub(super) fn reply(row: &PgRow) -> Result<Reply, sqlx::Error> {
    if row.try_get("done")? {
        return Ok(Reply::Done);
    }
    let position = unsigned(row, "head_position")?;
    let frontier: Vec<u8> = row.try_get("head_frontier")?;
    let sequences: Option<Vec<i64>> = row.try_get("sequences")?;
    let known: Option<Vec<bool>> = row.try_get("known")?;
    let sequences = sequences.unwrap_or_default().into_iter();
    Ok(Reply::Held {
        ground: Ground {
            position,
            recorded_at_us: row.try_get("head_recorded_at_us")?,
            frontier: Frontier::from_bytes(position, &frontier).map_err(|error| undecodable("frontier", error))?,
        },
        sequences: sequences.map(|sequence| u64::try_from(sequence).unwrap_or(0)).collect(),
        known: known.unwrap_or_default(),
    })
}
