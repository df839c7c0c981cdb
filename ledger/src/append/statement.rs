//! The appender's statements: two that add a plain batch, `append_batch` for any, `ask_ledger`, which tells where everything
//! is, and one that reads leaves.

use tokio_postgres::{Client, Error, Row, Statement};
use xagent_tree::Frontier;

use super::batch::KeyRange;
use super::{Ground, Pending, Stream, failed};
use crate::LedgerError;

const ADD: &str = include_str!("add.sql");
/// What of it is left out where all streams are known begins and ends with these lines.
const STREAMS: (&str, &str) = ("-- Only where the batch has streams", "-- Always.");
const WRITE: &str = "SELECT append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
                     $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)";
const ASK: &str = include_str!("ask.sql");
const LEAVES: &str = "SELECT coalesce(array_agg(leaf_hash ORDER BY position), '{}') FROM events \
                      WHERE position > $1 AND position <= $2";
/// Gives up the lock.
pub(super) const RELEASE: &str =
    "SELECT pg_advisory_unlock(7281094552), set_config('idle_session_timeout', '0', false)";

/// The prepared ones of a connection.
pub(super) struct Statements {
    pub add: Statement,
    /// The same with streams to look up.
    pub look_up_and_add: Statement,
    pub write: Statement,
    pub ask: Statement,
    pub leaves: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let known = match (ADD.split_once(STREAMS.0), ADD.split_once(STREAMS.1)) {
            (Some((before, _)), Some((_, after))) => [before, after].concat(),
            _ => ADD.to_owned(),
        };
        let [add, look_up_and_add, write, ask, leaves] =
            [&known, ADD, WRITE, ASK, LEAVES].map(|sql| client.prepare(sql));
        let (add, look_up_and_add, write, ask, leaves) = futures::try_join!(add, look_up_and_add, write, ask, leaves)?;
        Ok(Self { add, look_up_and_add, write, ask, leaves })
    }
}

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

/// Types and ids of streams.
pub(super) fn streams(streams: &[Stream]) -> (Vec<&str>, Vec<&str>) {
    streams.iter().map(|stream| (stream.0, &*stream.1)).unzip()
}

/// Tenants and keys of those commands that have one.
pub(super) fn keys<'a>(commands: &[&'a Pending]) -> (Vec<&'a str>, Vec<&'a str>) {
    let keyed = commands.iter().filter_map(|command| Some((command, command.command.as_ref()?)));
    keyed.map(|(command, key)| (command.tenant.as_str(), key.id.as_str())).unzip()
}

/// The answer to `ask.sql`.
pub(super) fn answers(row: &Row) -> Result<Answers, LedgerError> {
    let read = || -> Result<_, Error> {
        let sequences: Option<Vec<i64>> = row.try_get("sequences")?;
        let known: Option<Vec<bool>> = row.try_get("known")?;
        let (past, earlier): (Option<i64>, Option<bool>) = (row.try_get("range_past")?, row.try_get("earlier_keys")?);
        let head: (i64, Vec<u8>) = (row.try_get("head_position")?, row.try_get("head_frontier")?);
        Ok((head, row.try_get("head_recorded_at_us")?, sequences, known, past, earlier))
    };
    let ((position, frontier), recorded_at_us, sequences, known, past, earlier) = read().map_err(failed)?;
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    let position = u64::try_from(position).map_err(failed)?;
    let frontier = Frontier::from_bytes(position, &frontier).map_err(failed)?;
    Ok(Answers {
        ground: Ground { position, recorded_at_us, frontier },
        keys: KeyRange { past: past.map_or(0, unsigned), earlier: earlier.unwrap_or(true) },
        sequences: sequences.unwrap_or_default().into_iter().map(unsigned).collect(),
        known: known.unwrap_or_default(),
    })
}
