//! A batch as columns: what the statements that write it are given.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::batch::{Batch, Sealed};
use super::{Pending, Unplaced, bytes};
use crate::CommandKey;

/// Arguments of a statement.
type Arguments<'a, const COUNT: usize> = [&'a (dyn ToSql + Sync); COUNT];

/// JSON text that is sent as what it is, so that the server neither casts nor copies it.
#[derive(Debug)]
struct Json<'a>(&'a str);

impl ToSql for Json<'_> {
    fn to_sql(&self, _: &Type, buffer: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSON
    }

    to_sql_checked!();
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

/// Each member is a column of events, of blobs, of nodes or of streams, or a value of the whole batch.
pub(super) struct Columns<'a> {
    after_position: i64,
    after_frontier: Vec<u8>,
    new_position: i64,
    new_frontier: Vec<u8>,
    recorded_at: SystemTime,
    types: Vec<&'a str>,
    ids: Vec<&'a str>,
    sequences: Vec<i64>,
    event_types: Vec<&'a str>,
    event_versions: Vec<&'a str>,
    payloads: Vec<Json<'a>>,
    metadata: Vec<Json<'a>>,
    tenants: Vec<&'a str>,
    leaves: Vec<&'a [u8]>,
    commands: Vec<Option<&'a str>>,
    bodies: Vec<Option<&'a [u8]>>,
    counts: Vec<Option<i32>>,
    levels: Vec<i16>,
    indexes: Vec<i64>,
    hashes: Vec<&'a [u8]>,
    checked: Checked<'a>,
}

/// What most batches have none of: streams to look up, and blobs.
struct Checked<'a> {
    types: Vec<&'a str>,
    ids: Vec<&'a str>,
    sequences: Vec<i64>,
    digests: Vec<&'a [u8]>,
    media_types: Vec<&'a str>,
    contents: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        let events: Vec<_> = batch.events.iter().filter_map(|sealed| Event::of(batch, sealed)).collect();
        Self {
            after_position: signed(batch.after.position),
            after_frontier: batch.after.frontier.to_bytes(),
            new_position: signed(batch.ground.position),
            new_frontier: batch.ground.frontier.to_bytes(),
            recorded_at: moment(batch.ground.recorded_at_us),
            types: each(&events, |event| event.command.stream.0),
            ids: each(&events, |event| &*event.command.stream.1),
            sequences: each(&events, |event| signed(event.sealed.sequence)),
            event_types: each(&events, |event| event.unplaced.event_type),
            event_versions: each(&events, |event| event.unplaced.event_version),
            payloads: each(&events, |event| Json(&event.unplaced.payload)),
            metadata: each(&events, |event| Json(&event.command.metadata)),
            tenants: each(&events, |event| event.command.tenant.as_str()),
            leaves: each(&events, |event| bytes(&event.sealed.leaf_hash)),
            commands: each(&events, |event| event.key().map(|key| key.id.as_str())),
            bodies: each(&events, |event| event.key().map(|key| bytes(&key.body))),
            counts: each(&events, Event::count),
            levels: batch.nodes.iter().map(|(subtree, _)| i16::from(subtree.level)).collect(),
            indexes: batch.nodes.iter().map(|(subtree, _)| signed(subtree.index)).collect(),
            hashes: batch.nodes.iter().map(|(_, hash)| bytes(hash)).collect(),
            checked: Checked::of(batch),
        }
    }

    /// In the order of `add.sql`: what it always takes, and what it takes where there are streams to look up.
    pub(super) fn to_add(&self) -> (Arguments<'_, 20>, Option<Arguments<'_, 3>>) {
        let checked = &self.checked;
        let streams: Arguments<'_, 3> = [&checked.types, &checked.ids, &checked.sequences];
        let batch: Arguments<'_, 20> = [
            &self.after_position,
            &self.after_frontier,
            &self.new_position,
            &self.new_frontier,
            &self.recorded_at,
            &self.types,
            &self.ids,
            &self.sequences,
            &self.event_types,
            &self.event_versions,
            &self.payloads,
            &self.metadata,
            &self.tenants,
            &self.leaves,
            &self.commands,
            &self.bodies,
            &self.counts,
            &self.levels,
            &self.indexes,
            &self.hashes,
        ];
        (batch, Some(streams).filter(|_| !checked.types.is_empty()))
    }

    /// In the order of `append_batch`.
    pub(super) fn to_write<'b>(&'b self, holding: &'b bool) -> Arguments<'b, 27> {
        let checked = &self.checked;
        [
            &self.after_position,
            &self.after_frontier,
            holding,
            &checked.types,
            &checked.ids,
            &checked.sequences,
            &self.types,
            &self.ids,
            &self.sequences,
            &self.event_types,
            &self.event_versions,
            &self.payloads,
            &self.metadata,
            &self.tenants,
            &self.leaves,
            &self.commands,
            &self.bodies,
            &self.counts,
            &self.recorded_at,
            &checked.digests,
            &checked.media_types,
            &checked.contents,
            &self.levels,
            &self.indexes,
            &self.hashes,
            &self.new_frontier,
            &self.new_position,
        ]
    }
}

impl<'a> Checked<'a> {
    fn of(batch: &'a Batch) -> Self {
        let streams = || batch.streams.iter().filter_map(|check| Some((&check.stream, check.expected?)));
        let blobs = || batch.placed().flat_map(|command| &command.blobs);
        Self {
            types: streams().map(|(stream, _)| stream.0).collect(),
            ids: streams().map(|(stream, _)| &*stream.1).collect(),
            sequences: streams().map(|(_, expected)| signed(expected)).collect(),
            digests: blobs().map(|blob| bytes(&blob.digest)).collect(),
            media_types: blobs().map(|blob| blob.media_type.as_str()).collect(),
            contents: blobs().map(|blob| blob.text.as_bytes()).collect(),
        }
    }
}

fn each<'a, T>(events: &[Event<'a>], side: impl Fn(Event<'a>) -> T) -> Vec<T> {
    events.iter().map(|event| side(*event)).collect()
}

fn moment(us: i64) -> SystemTime {
    let distance = Duration::from_micros(us.unsigned_abs());
    if us < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
