//! Reading: by stream, by position, by what workers and doors look for. Everything is paged.

mod copy;
mod frontier;
mod loaded;
mod raw;
mod scan;

use sqlx::Row;
use sqlx::postgres::PgRow;
use xagent_domain::{Digest, Recorded};

pub(crate) use copy::{AHEAD, COPYING, Copied, copy};
pub use loaded::Loaded;
pub(crate) use loaded::{Fold, verified};
pub(crate) use raw::signed;
pub use raw::{Head, RunStart, Wake};
pub use scan::{Scan, Scanned};

use crate::Receipt;

/// The columns of a recorded event, as every query here names them.
const EVENT_COLUMNS: &str = "position, tenant, aggregate_type, aggregate_id, sequence, event_type, event_version, \
     payload::text AS payload, metadata::text AS metadata, \
     (extract(epoch FROM recorded_at) * 1000000)::bigint AS recorded_at_us, leaf_hash";

pub(crate) fn unsigned(row: &PgRow, column: &str) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| undecodable(column, error))
}

pub(crate) fn undecodable<E>(column: &str, error: E) -> sqlx::Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) }
}

pub(crate) fn digest(bytes: &[u8], column: &str) -> Result<Digest, sqlx::Error> {
    <[u8; 32]>::try_from(bytes).map(Digest::from_bytes).map_err(|error| undecodable(column, error))
}

/// The receipt in a row of the `commands` table with its leaf hashes; its root is still to be computed.
pub(crate) fn receipt_of(row: &PgRow) -> Result<Receipt, sqlx::Error> {
    let last_position = unsigned(row, "command_last_position")?;
    let leaves: Vec<Vec<u8>> = row.try_get("leaf_hashes")?;
    Ok(Receipt {
        first_position: unsigned(row, "first_position")?,
        last_position,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: unsigned(row, "command_sequence")?,
        leaf_hashes: leaves.iter().map(|leaf| digest(leaf, "leaf_hash")).collect::<Result<_, _>>()?,
        tree_size: last_position,
        root: Digest::from_bytes([0; 32]),
        repeated: true,
    })
}

fn recorded(row: &PgRow) -> Result<Recorded, sqlx::Error> {
    let (tenant, leaf): (String, Vec<u8>) = (row.try_get("tenant")?, row.try_get("leaf_hash")?);
    Ok(Recorded {
        position: unsigned(row, "position")?,
        tenant: tenant.parse().map_err(|error: xagent_domain::IdError| undecodable("tenant", error))?,
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: unsigned(row, "sequence")?,
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        payload: row.try_get("payload")?,
        metadata: row.try_get("metadata")?,
        recorded_at_us: row.try_get("recorded_at_us")?,
        leaf_hash: digest(&leaf, "leaf_hash")?,
    })
}
