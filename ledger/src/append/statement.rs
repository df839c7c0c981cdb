//! The one statement that appends: `append_batch` of the migrations.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row};
use xagent_tree::Frontier;

use super::batch::{Batch, Verdict};
use super::{Ground, Pending, bytes};
use crate::read::{undecodable, unsigned};

const SQL: &str = "SELECT * FROM append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
                   $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)";

/// Where the ledger is, as the statement answers.
pub(super) struct Reply {
    /// Whether the batch is in.
    pub done: bool,
    pub ground: Ground,
    /// Per stream that was asked about.
    pub sequences: Vec<u64>,
    /// Per command with a key that was asked about.
    pub known: Vec<bool>,
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Writes the batch, planned to follow on `after`.
pub(super) fn write<'q>(after: u64, commands: &'q [Pending], batch: &'q Batch) -> Query<'q, Postgres, PgArguments> {
    let placed = || {
        let pairs = commands.iter().zip(&batch.verdicts);
        pairs.filter_map(|(command, verdict)| match verdict {
            Verdict::Place(receipt) => Some((command, receipt)),
            _ => None,
        })
    };
    let keyed: Vec<_> = placed().filter_map(|(c, receipt)| Some((c, c.command.as_ref()?, receipt))).collect();
    let blobs: Vec<_> = placed().flat_map(|(command, _)| &command.blobs).collect();
    let (events, nodes) = (&batch.events, &batch.nodes);
    let texts = |field: fn(&xagent_domain::Recorded) -> &str| events.iter().map(field).collect::<Vec<_>>();
    sqlx::query(SQL)
        .bind(signed(after))
        .bind(batch.streams.iter().map(|((kind, _), _)| *kind).collect::<Vec<_>>())
        .bind(batch.streams.iter().map(|((_, id), _)| id.as_str()).collect::<Vec<_>>())
        .bind(batch.streams.iter().map(|(_, sequence)| signed(*sequence)).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(command, ..)| command.tenant.as_str()).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(_, key, _)| key.id.as_str()).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(_, key, _)| bytes(&key.body)).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(command, ..)| command.aggregate_id.as_str()).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(.., receipt)| signed(receipt.sequence)).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(.., receipt)| signed(receipt.first_position)).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(.., receipt)| signed(receipt.last_position)).collect::<Vec<_>>())
        .bind(texts(|event| &event.aggregate_type))
        .bind(texts(|event| &event.aggregate_id))
        .bind(texts(|event| event.tenant.as_str()))
        .bind(events.iter().map(|event| signed(event.sequence)).collect::<Vec<_>>())
        .bind(texts(|event| &event.event_type))
        .bind(texts(|event| &event.event_version))
        .bind(texts(|event| &event.payload))
        .bind(texts(|event| &event.metadata))
        .bind(events.iter().map(|event| signed(event.position)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| bytes(&event.leaf_hash)).collect::<Vec<_>>())
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

/// Asks where the ledger, all streams and all keys of the commands are, and writes nothing.
pub(super) fn ask(commands: &[Pending]) -> Query<'_, Postgres, PgArguments> {
    let keyed: Vec<_> = commands.iter().filter_map(|command| Some((command, command.command.as_ref()?))).collect();
    let (no_texts, no_numbers, no_bytes) = (Vec::<&str>::new(), Vec::<i64>::new(), Vec::<&[u8]>::new());
    sqlx::query(SQL)
        .bind(-1_i64)
        .bind(commands.iter().map(|command| command.aggregate_type).collect::<Vec<_>>())
        .bind(commands.iter().map(|command| command.aggregate_id.as_str()).collect::<Vec<_>>())
        .bind(no_numbers.clone())
        .bind(keyed.iter().map(|(command, _)| command.tenant.as_str()).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(_, key)| key.id.as_str()).collect::<Vec<_>>())
        .bind(no_bytes.clone())
        .bind(no_texts.clone())
        .bind(no_numbers.clone())
        .bind(no_numbers.clone())
        .bind(no_numbers.clone())
        .bind(no_texts.clone())
        .bind(no_texts.clone())
        .bind(no_texts.clone())
        .bind(no_numbers.clone())
        .bind(no_texts.clone())
        .bind(no_texts.clone())
        .bind(no_texts.clone())
        .bind(no_texts.clone())
        .bind(no_numbers.clone())
        .bind(no_bytes.clone())
        .bind(0_i64)
        .bind(no_bytes.clone())
        .bind(no_texts)
        .bind(no_bytes.clone())
        .bind(Vec::<i16>::new())
        .bind(no_numbers)
        .bind(no_bytes)
        .bind(Vec::<u8>::new())
        .bind(-1_i64)
}

pub(super) fn reply(row: &PgRow) -> Result<Reply, sqlx::Error> {
    let position = unsigned(row, "head_position")?;
    let frontier: Vec<u8> = row.try_get("head_frontier")?;
    let sequences: Vec<i64> = row.try_get("sequences")?;
    Ok(Reply {
        done: row.try_get("done")?,
        ground: Ground {
            position,
            recorded_at_us: row.try_get("head_recorded_at_us")?,
            frontier: Frontier::from_bytes(position, &frontier).map_err(|error| undecodable("frontier", error))?,
        },
        sequences: sequences.into_iter().map(|sequence| u64::try_from(sequence).unwrap_or(0)).collect(),
        known: row.try_get("known")?,
    })
}
