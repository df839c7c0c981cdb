//! A file's events held to the tree: every leaf hash is computed anew, and every block's root compared with its stored node.
//! Only then a range leaves the database, or comes back.

use std::collections::HashMap;
use std::path::Path;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use xagent_domain::Digest;
use xagent_tree::Frontier;

use super::file::failure;
use super::session::{in_time, signed};
use crate::LedgerError;
use crate::read::digest;
use crate::row::Row;

/// Events of a block.
pub(super) const BLOCK: u64 = 256;

/// The roots of blocks of 256 events, by index.
pub(super) type Nodes = HashMap<u64, Digest>;

/// The stored roots of the blocks of a range.
pub(super) async fn nodes(owner: &mut PgConnection, first: u64, past: u64) -> Result<Nodes, LedgerError> {
    const OPERATION: &str = "read the tree";
    let sql = "SELECT index, hash FROM tree_nodes WHERE level = 8 AND index >= $1 AND index < $2";
    let query = sqlx::query(sql).bind(signed(first / BLOCK)).bind(signed(past / BLOCK));
    let rows = in_time(OPERATION, query.fetch_all(owner)).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let hash: Vec<u8> = row.try_get("hash")?;
        Ok((crate::read::unsigned(row, "index")?, digest(&hash, "hash")?))
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))
}

/// Takes the rows of a file in order, and says where they are not what was sealed.
pub(super) struct Holder<'a> {
    path: &'a Path,
    nodes: Nodes,
    next: u64,
    past: u64,
    tree: Frontier,
    hashes: Vec<u8>,
}

/// The leaf hashes of a block.
pub(super) type Leaves = (u64, Vec<u8>);

impl<'a> Holder<'a> {
    pub(super) fn new(path: &'a Path, nodes: Nodes, first: u64, past: u64) -> Self {
        Self { path, nodes, next: first, past, tree: Frontier::default(), hashes: Vec::new() }
    }

    /// The next rows; returns the blocks that they complete.
    pub(super) fn take(&mut self, rows: &[Row]) -> Result<Vec<Leaves>, LedgerError> {
        let mut whole = Vec::new();
        for row in rows {
            whole.extend(self.row(row)?);
        }
        Ok(whole)
    }

    fn row(&mut self, row: &Row) -> Result<Option<Leaves>, LedgerError> {
        let position = self.next;
        let wrong = |problem: String| failure(self.path, problem);
        if u64::try_from(row.position) != Ok(position) || position >= self.past {
            return Err(wrong(format!("it has an event of position {} where {position} is due", row.position)));
        }
        let (found, _) = crate::verify::hash(row).map_err(|column| wrong(format!("position {position}: {column}")))?;
        if row.leaf_hash() != Some(found) {
            return Err(wrong(format!("its event at position {position} is not what was sealed; run `xagent verify`")));
        }
        self.tree.push(found, |_, _| {});
        self.hashes.extend_from_slice(found.as_bytes());
        self.next += 1;
        if self.tree.size() < BLOCK {
            return Ok(None);
        }
        let index = position / BLOCK - 1;
        let root = std::mem::take(&mut self.tree).root();
        if self.nodes.get(&index) != Some(&root) {
            let first = index * BLOCK + 1;
            return Err(wrong(format!(
                "its events from position {first} to {position} do not fit the tree; run `xagent verify`"
            )));
        }
        Ok(Some((index, std::mem::take(&mut self.hashes))))
    }

    /// All of the range was there.
    pub(super) fn finish(self) -> Result<(), LedgerError> {
        let (next, past) = (self.next, self.past);
        let early = || failure(self.path, format!("it ends at position {}, not at {}", next - 1, past - 1));
        (next == past).then_some(()).ok_or_else(early)
    }
}
