//! Gives a ledger that is older than its tree one, once, when it is migrated.

use sqlx::{Connection, PgConnection, Row};
use xagent_tree::Frontier;

use crate::append::grow;
use crate::read::digest;

/// Leaf hashes read at once where a whole ledger is gone through.
const PAGE: i64 = 10_000;

/// Gives a ledger that is older than its tree one. Does nothing where there is one.
pub(crate) async fn plant(owner: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut transaction = owner.begin().await?;
    sqlx::query(include_str!("../append/lock.sql")).execute(&mut *transaction).await?;
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
