//! The two statements of the appender, both functions of the migrations: `append_batch`, and `ask_ledger`, which tells where
//! everything is.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgHasArrayType, PgRow, PgTypeInfo};
use sqlx::query::Query;
use sqlx::{Encode, Postgres, Row, Type};
use xagent_tree::Frontier;

use super::batch::{Batch, KeyRange, Sealed};
use super::{Ground, Pending, Stream, Unplaced, bytes};
use crate::CommandKey;
use crate::read::{undecodable, unsigned};

const WRITE: &str = "SELECT append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
                     $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)";
const ADD: &str = include_str!("add.sql");
const ASK: &str = include_str!("ask.sql");

/// Where everything is that was asked for.
pub(super) struct Answers {
    pub ground: Ground,
    /// Where keys are.
    pub keys: KeyRange,
    /// Per stream.
    pub sequences: Vec<u64>,
    /// Per command with a key: whether one with it is in.
    pub known: Vec<bool>,
}

/// JSON text that is sent as what it is, so that the server neither casts nor copies it.
struct Json<'a>(&'a str);

impl Type<Postgres> for Json<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(114))
    }
}

impl PgHasArrayType for Json<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(199))
    }
}

impl Encode<'_, Postgres> for Json<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

/// Microseconds since 1970 as a `timestamptz`, which counts them from 2000-01-01.
struct Moment(i64);

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0.saturating_sub(946_684_800_000_000).to_be_bytes());
        Ok(IsNull::No)
    }
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

/// Writes the batch; `holding` where the session holds the lock since it asked.
pub(super) fn write(batch: &Batch, holding: bool) -> Query<'_, Postgres, PgArguments> {
    let events: Vec<_> = batch.events.iter().filter_map(|sealed| Event::of(batch, sealed)).collect();
    let blobs: Vec<_> = batch.placed().flat_map(|command| &command.blobs).collect();
    let streams: Vec<_> = batch.streams.iter().filter_map(|check| Some((&check.stream, check.expected?))).collect();
    let nodes = &batch.nodes;
    sqlx::query(WRITE)
        .bind(signed(batch.after.position))
        .bind(batch.after.frontier.to_bytes())
        .bind(holding)
        .bind(streams.iter().map(|(stream, _)| stream.0).collect::<Vec<_>>())
        .bind(streams.iter().map(|(stream, _)| &*stream.1).collect::<Vec<_>>())
        .bind(streams.iter().map(|(_, expected)| signed(*expected)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.command.stream.0).collect::<Vec<_>>())
        .bind(events.iter().map(|event| &*event.command.stream.1).collect::<Vec<_>>())
        .bind(events.iter().map(|event| signed(event.sealed.sequence)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.unplaced.event_type).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.unplaced.event_version).collect::<Vec<_>>())
        .bind(events.iter().map(|event| Json(&event.unplaced.payload)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| Json(&event.command.metadata)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.command.tenant.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| bytes(&event.sealed.leaf_hash)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.key().map(|key| key.id.as_str())).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.key().map(|key| bytes(&key.body))).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.count()).collect::<Vec<_>>())
        .bind(Moment(batch.ground.recorded_at_us))
        .bind(blobs.iter().map(|blob| bytes(&blob.digest)).collect::<Vec<_>>())
        .bind(blobs.iter().map(|blob| blob.media_type.as_str()).collect::<Vec<_>>())
        .bind(blobs.iter().map(|blob| blob.text.as_bytes()).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(subtree, _)| i16::from(subtree.level)).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(subtree, _)| signed(subtree.index)).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(_, hash)| bytes(hash)).collect::<Vec<_>>())
        .bind(batch.ground.frontier.to_bytes())
        .bind(signed(batch.ground.position))
}

/// Adds a batch that `is_plain`.
pub(super) fn add(batch: &Batch) -> Query<'_, Postgres, PgArguments> {
    let events: Vec<_> = batch.events.iter().filter_map(|sealed| Event::of(batch, sealed)).collect();
    let nodes = &batch.nodes;
    sqlx::query(ADD)
        .bind(signed(batch.after.position))
        .bind(batch.after.frontier.to_bytes())
        .bind(signed(batch.ground.position))
        .bind(batch.ground.frontier.to_bytes())
        .bind(Moment(batch.ground.recorded_at_us))
        .bind(events.iter().map(|event| event.command.stream.0).collect::<Vec<_>>())
        .bind(events.iter().map(|event| &*event.command.stream.1).collect::<Vec<_>>())
        .bind(events.iter().map(|event| signed(event.sealed.sequence)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.unplaced.event_type).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.unplaced.event_version).collect::<Vec<_>>())
        .bind(events.iter().map(|event| Json(&event.unplaced.payload)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| Json(&event.command.metadata)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.command.tenant.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| bytes(&event.sealed.leaf_hash)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.key().map(|key| key.id.as_str())).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.key().map(|key| bytes(&key.body))).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.count()).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(subtree, _)| i16::from(subtree.level)).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(subtree, _)| signed(subtree.index)).collect::<Vec<_>>())
        .bind(nodes.iter().map(|(_, hash)| bytes(hash)).collect::<Vec<_>>())
}

/// Asks where the ledger and all streams and keys of the commands are, and takes the lock.
pub(super) fn ask<'q>(streams: &'q [Stream], commands: &'q [Pending]) -> Query<'q, Postgres, PgArguments> {
    let keyed: Vec<_> = commands.iter().filter_map(|command| Some((command, command.command.as_ref()?))).collect();
    sqlx::query(ASK)
        .bind(streams.iter().map(|stream| stream.0).collect::<Vec<_>>())
        .bind(streams.iter().map(|stream| &*stream.1).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(command, _)| command.tenant.as_str()).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(_, key)| key.id.as_str()).collect::<Vec<_>>())
}

pub(super) fn answers(row: &PgRow) -> Result<Answers, sqlx::Error> {
    let position = unsigned(row, "head_position")?;
    let frontier: Vec<u8> = row.try_get("head_frontier")?;
    let sequences: Option<Vec<i64>> = row.try_get("sequences")?;
    let known: Option<Vec<bool>> = row.try_get("known")?;
    let (past, earlier): (Option<i64>, Option<bool>) = (row.try_get("range_past")?, row.try_get("earlier_keys")?);
    let past = past.and_then(|past| u64::try_from(past).ok()).unwrap_or(0);
    let sequences = sequences.unwrap_or_default().into_iter();
    Ok(Answers {
        ground: Ground {
            position,
            recorded_at_us: row.try_get("head_recorded_at_us")?,
            frontier: Frontier::from_bytes(position, &frontier).map_err(|error| undecodable("frontier", error))?,
        },
        keys: KeyRange { past, earlier: earlier.unwrap_or(true) },
        sequences: sequences.map(|sequence| u64::try_from(sequence).unwrap_or(0)).collect(),
        known: known.unwrap_or_default(),
    })
}
