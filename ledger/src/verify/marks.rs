//! What the database keeps beside the events, a span at a time: nodes of the tree, leaf hashes of archived ranges, signed
//! checkpoints.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use xagent_domain::Digest;
use xagent_tree::{Checkpoint, Subtree};

use super::fault::{Fault, Witness};
use super::spine::{BLOCK, LEVEL};
use crate::read::{digest, unsigned};
use crate::{Ledger, LedgerError};

/// Events of a span: as many as are under a node of the second stored level.
pub(super) const SPAN: u64 = BLOCK * BLOCK;
const OPERATION: &str = "read the tree";

/// What is kept of one span.
#[derive(Default)]
pub(super) struct Marks {
    pub nodes: HashMap<(u8, u64), Digest>,
    /// Leaf hashes of archived blocks, one after the other.
    pub leaves: HashMap<u64, Vec<u8>>,
    pub signed: Vec<Signed>,
    pub faults: Vec<Fault>,
}

/// A root that was signed.
pub(super) struct Signed {
    pub size: u64,
    pub root: Digest,
    pub witness: Witness,
}

impl Ledger {
    /// What is kept of the positions after `after`, up to `to`.
    pub(super) async fn marks(&self, after: u64, to: u64) -> Result<Marks, LedgerError> {
        let mut marks = Marks { nodes: self.nodes(after, to).await?, ..Marks::default() };
        marks.leaves = self.archived_leaves(after, to).await?;
        let stored = self.checkpoints_between(after, to).await?;
        let opened = tokio::task::spawn_blocking(move || {
            let open = |stored: &crate::StoredCheckpoint| match stored.verifier.parse() {
                Ok(verifier) => Checkpoint::open(&stored.note, &verifier),
                Err(error) => Err(error),
            };
            stored.into_iter().map(|stored| (open(&stored), stored.size)).collect::<Vec<_>>()
        });
        for (opened, size) in opened.await.map_err(|error| failed(&error))? {
            match opened {
                Ok(checkpoint) if checkpoint.size == size => {
                    marks.signed.push(Signed { size, root: checkpoint.root, witness: Witness::Checkpoint });
                }
                Ok(other) => {
                    let detail = format!("it is the checkpoint of size {}", other.size);
                    marks.faults.push(Fault::Signature { size, detail });
                }
                Err(error) => marks.faults.push(Fault::Signature { size, detail: error.to_string() }),
            }
        }
        Ok(marks)
    }

    /// The stored nodes that positions after `after`, up to `to`, complete.
    async fn nodes(&self, after: u64, to: u64) -> Result<HashMap<(u8, u64), Digest>, LedgerError> {
        let levels: Vec<i32> = (1..8).map(|level| level * i32::from(LEVEL)).collect();
        let sql = "SELECT node.level, node.index, node.hash FROM unnest($1::integer[]) AS wanted (level), LATERAL ( \
                   SELECT * FROM tree_nodes WHERE tree_nodes.level = wanted.level \
                   AND tree_nodes.index >= $2 >> wanted.level AND tree_nodes.index < $3 >> wanted.level) AS node";
        let query = sqlx::query(sql).bind(levels).bind(signed(after)).bind(signed(to));
        let rows = self.bounded(OPERATION, query.fetch_all(&self.0.pool)).await?;
        let read = |row: &PgRow| {
            let (level, hash): (i16, Vec<u8>) = (row.try_get("level")?, row.try_get("hash")?);
            Ok(((u8::try_from(level).unwrap_or(0), unsigned(row, "index")?), digest(&hash, "hash")?))
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))
    }

    async fn archived_leaves(&self, after: u64, to: u64) -> Result<HashMap<u64, Vec<u8>>, LedgerError> {
        let sql = "SELECT index, hashes FROM archived_leaves WHERE index >= $1 AND index < $2";
        let query = sqlx::query(sql).bind(signed(after / BLOCK)).bind(signed(to.div_ceil(BLOCK)));
        let rows = self.bounded(OPERATION, query.fetch_all(&self.0.pool)).await?;
        let read = |row: &PgRow| Ok((unsigned(row, "index")?, row.try_get("hashes")?));
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|e: sqlx::Error| LedgerError::database(OPERATION, &e))
    }
}

impl Marks {
    pub(super) fn node(&self, subtree: Subtree) -> Option<Digest> {
        self.nodes.get(&(subtree.level, subtree.index)).copied()
    }

    /// The leaf hash that was kept of an archived position.
    pub(super) fn leaf(&self, position: u64) -> Option<Digest> {
        let (block, place) = ((position - 1) / BLOCK, usize::try_from((position - 1) % BLOCK).ok()?);
        let hashes = self.leaves.get(&block)?.as_chunks::<32>().0;
        hashes.get(place).copied().map(Digest::from_bytes)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn failed(error: &tokio::task::JoinError) -> LedgerError {
    LedgerError::Failed { operation: "verify", detail: error.to_string() }
}
