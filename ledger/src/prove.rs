//! Roots and proofs of the tree at any size, from leaf hashes and stored nodes, in O(log n).

use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, Row};
use xagent_domain::Digest;
use xagent_tree::{Frontier, Range, Subtree, consistency_ranges, inclusion_ranges};

use crate::append::grow;
use crate::read::digest;
use crate::{Ledger, LedgerError};

/// Leaf hashes read at once where a whole ledger is gone through.
const PAGE: i64 = 10_000;

/// Proof that an event is in the tree of a size (RFC 9162 section 2.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// The event's position; its leaf's index is one less.
    pub position: u64,
    /// The event's leaf hash.
    pub leaf_hash: Digest,
    /// Leaves in the tree.
    pub tree_size: u64,
    /// Root of the tree.
    pub root: Digest,
    /// The proof.
    pub path: Vec<Digest>,
}

/// Proof that one tree is a prefix of another (RFC 9162 section 2.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyProof {
    /// Leaves in the smaller tree.
    pub first: u64,
    /// Its root.
    pub first_root: Digest,
    /// Leaves in the larger tree.
    pub second: u64,
    /// Its root.
    pub second_root: Digest,
    /// The proof.
    pub path: Vec<Digest>,
}

impl Ledger {
    /// The root of the tree over the first `size` events.
    pub async fn root_at(&self, size: u64) -> Result<Digest, LedgerError> {
        if size == 0 {
            return Ok(Digest::of(b""));
        }
        self.range_root(Range { start: 0, end: size }).await
    }

    /// Proves that the event at `position` is in the tree of `size` events; `None` where there is no such event in it.
    pub async fn inclusion(&self, position: u64, size: u64) -> Result<Option<InclusionProof>, LedgerError> {
        let ranges = position.checked_sub(1).and_then(|index| inclusion_ranges(index, size));
        let (Some(ranges), true) = (ranges, size <= self.head().await?.position) else { return Ok(None) };
        let leaf = Range { start: position - 1, end: position };
        Ok(Some(InclusionProof {
            position,
            leaf_hash: self.range_root(leaf).await?,
            tree_size: size,
            root: self.root_at(size).await?,
            path: self.range_roots(&ranges).await?,
        }))
    }

    /// Proves that the tree of `first` events is a prefix of that of `second`; `None` where there are no such trees.
    pub async fn consistency(&self, first: u64, second: u64) -> Result<Option<ConsistencyProof>, LedgerError> {
        let ranges = consistency_ranges(first, second);
        let (Some(ranges), true) = (ranges, second <= self.head().await?.position) else { return Ok(None) };
        let (first_root, second_root) = (self.root_at(first).await?, self.root_at(second).await?);
        let path = self.range_roots(&ranges).await?;
        Ok(Some(ConsistencyProof { first, first_root, second, second_root, path }))
    }

    async fn range_roots(&self, ranges: &[Range]) -> Result<Vec<Digest>, LedgerError> {
        let mut roots = Vec::with_capacity(ranges.len());
        for range in ranges {
            roots.push(self.range_root(*range).await?);
        }
        Ok(roots)
    }

    async fn range_root(&self, range: Range) -> Result<Digest, LedgerError> {
        let mut roots = Vec::new();
        for subtree in range.subtrees() {
            roots.push(self.subtree_root(subtree).await?);
        }
        range.root(&roots).ok_or_else(|| missing(range.start))
    }

    /// From the stored hashes up to seven levels below, at most 128 of them.
    pub(crate) async fn subtree_root(&self, subtree: Subtree) -> Result<Digest, LedgerError> {
        const OPERATION: &str = "read the tree";
        let (above, stored) = (subtree.level % 8, subtree.level - subtree.level % 8);
        let (start, count) = (subtree.index << above, 1_u64 << above);
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let query = if stored == 0 {
            let sql = "SELECT hash FROM leaves($1, $2) ORDER BY leaf_position";
            sqlx::query(sql).bind(signed(start)).bind(signed(start + count))
        } else {
            let sql = "SELECT hash FROM tree_nodes WHERE index >= $1 AND index < $2 AND level = $3 ORDER BY index";
            sqlx::query(sql).bind(signed(start)).bind(signed(start + count)).bind(i16::from(stored))
        };
        let rows = self.bounded(OPERATION, query.fetch_all(&self.0.pool)).await?;
        let mut frontier = Frontier::default();
        for row in &rows {
            let bytes: Vec<u8> = row.try_get(0).map_err(|e| LedgerError::database(OPERATION, &e))?;
            frontier.push(digest(&bytes, "hash").map_err(|e| LedgerError::database(OPERATION, &e))?, |_, _| {});
        }
        if frontier.size() == count { Ok(frontier.root()) } else { Err(missing(start << stored)) }
    }
}

fn missing(after: u64) -> LedgerError {
    let detail = "a leaf or a node of the tree behind it is missing; run `xagent verify`".to_owned();
    LedgerError::Tampered { position: after + 1, detail }
}

/// Gives a ledger that is older than its tree one. Does nothing where there is one.
pub(crate) async fn plant(owner: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut transaction = owner.begin().await?;
    sqlx::query(include_str!("append/lock.sql")).execute(&mut *transaction).await?;
    let head = sqlx::query("SELECT last_position, octet_length(frontier) = 0 AS bare FROM ledger_head");
    let head = head.fetch_one(&mut *transaction).await?;
    let (last, bare): (i64, bool) = (head.try_get("last_position")?, head.try_get("bare")?);
    if !bare || last == 0 {
        return Ok(());
    }
    let (mut frontier, mut nodes, mut position) = (Frontier::default(), Vec::new(), 0_i64);
    while position < last {
        let sql = "SELECT leaf_hash FROM events WHERE position > $1 ORDER BY position LIMIT $2";
        let rows = sqlx::query(sql).bind(position).bind(PAGE).fetch_all(&mut *transaction).await?;
        for row in &rows {
            let bytes: Vec<u8> = row.try_get(0)?;
            grow(&mut frontier, digest(&bytes, "leaf_hash")?, &mut nodes);
        }
        if rows.is_empty() {
            return Err(sqlx::Error::Protocol(format!("the event at position {} is missing", position + 1)));
        }
        position += i64::try_from(rows.len()).unwrap_or(PAGE);
    }
    for (subtree, hash) in nodes {
        let insert = sqlx::query("INSERT INTO tree_nodes (level, index, hash) VALUES ($1, $2, $3)");
        let index = i64::try_from(subtree.index).unwrap_or(i64::MAX);
        let insert = insert.bind(i16::from(subtree.level)).bind(index).bind(hash.as_bytes().as_slice());
        insert.execute(&mut *transaction).await?;
    }
    let fill = sqlx::query("UPDATE ledger_head SET frontier = $1").bind(frontier.to_bytes());
    fill.execute(&mut *transaction).await?;
    transaction.commit().await
}
