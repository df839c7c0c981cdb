//! Where each trail is, in the database, as the projector's role: it can touch nothing else.

use sqlx::{PgPool, Row as _};

use super::stamp::Stamps;
use super::target::AuditError;
use crate::TablesError;
use crate::tables::connect::{READ, WRITER, pool, signed, unsigned, within};

const OPERATION: &str = "keep the audit trail's position";

/// The positions of all trails. Cheap to clone.
#[derive(Clone)]
pub struct Positions(PgPool);

/// Where a trail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Up to where every event is there, or was refused.
    pub position: u64,
    /// The timestamps that follow.
    pub stamps: Stamps,
}

impl Positions {
    /// In the database at `url`. Connects when first used.
    pub fn connect(url: &str) -> Result<Self, AuditError> {
        Ok(Self(pool(url, 1, WRITER)?))
    }

    /// Where the trail `target` is; a trail that nobody began yet begins with the first event.
    pub async fn read(&self, target: &'static str) -> Result<Position, AuditError> {
        let query = sqlx::query("SELECT position, at_ns FROM audit_trails WHERE target = $1").bind(target);
        let row = within(READ, OPERATION, query.fetch_optional(&self.0)).await?;
        let Some(row) = row else { return Ok(Position { position: 0, stamps: Stamps::after(i64::MIN) }) };
        let read =
            || Ok(Position { position: unsigned(&row, "position")?, stamps: Stamps::after(row.try_get("at_ns")?) });
        read().map_err(|error: sqlx::Error| TablesError::database(OPERATION, &error).into())
    }

    /// Moves the trail from `from` to `to`, or says where it is instead.
    pub async fn advance(&self, target: &'static str, from: u64, to: Position) -> Result<(), AuditError> {
        let sql = "INSERT INTO audit_trails (target, position, at_ns) VALUES ($1, $2, $3) \
                   ON CONFLICT (target) DO UPDATE SET position = excluded.position, at_ns = excluded.at_ns \
                   WHERE audit_trails.position = $4";
        let query = sqlx::query(sql).bind(target).bind(signed(to.position)).bind(to.stamps.latest()).bind(signed(from));
        let moved = within(READ, OPERATION, query.execute(&self.0)).await?;
        if moved.rows_affected() == 1 {
            return Ok(());
        }
        Err(AuditError::Moved { expected: from, found: self.read(target).await?.position })
    }
}
