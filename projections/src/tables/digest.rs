//! A digest of each table, so that two builds of the same events can be compared.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::{Connection, PgConnection};
use xagent_domain::Digest;

use super::TablesError;
use super::connect::unsigned;
use super::row::Listed;
use super::rows::{ApprovalRow, DecisionRow, GoalRow, RunRow, SwitchRow, ToolCallRow, UsageRow};

const OPERATION: &str = "digest the query tables";

/// The rows of a table or view and their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableDigest {
    /// How many there are.
    pub rows: u64,
    /// SHA-256 of the rows in their order: of a table as Postgres' COPY writes them, of a view with the name of each key.
    pub digest: Digest,
}

/// The digests of all tables or views at a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TablesDigest {
    /// Where they are.
    pub position: u64,
    /// Events up to there that could not be read.
    pub unreadable: u64,
    /// Each table or view.
    pub tables: BTreeMap<&'static str, TableDigest>,
}

/// The digests of a schema's tables, all of one state.
pub(super) async fn digest(connection: &mut PgConnection, schema: &str) -> Result<TablesDigest, TablesError> {
    let database = |error: sqlx::Error| TablesError::database(OPERATION, &error);
    let mut transaction = connection.begin().await.map_err(database)?;
    let isolated = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
    sqlx::query(isolated).execute(&mut *transaction).await.map_err(database)?;
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await.map_err(database)?;
    let sql = format!("SELECT position, unreadable FROM {schema}.position");
    let row = sqlx::query(&sql).fetch_one(&mut *transaction).await.map_err(database)?;
    let mut tables = BTreeMap::new();
    for table in [
        RunRow::NAME,
        GoalRow::NAME,
        DecisionRow::NAME,
        ToolCallRow::NAME,
        ApprovalRow::NAME,
        UsageRow::NAME,
        SwitchRow::NAME,
    ] {
        tables.insert(table, of_table(&mut transaction, schema, table).await.map_err(database)?);
    }
    let position = unsigned(&row, "position").map_err(database)?;
    Ok(TablesDigest { position, unreadable: unsigned(&row, "unreadable").map_err(database)?, tables })
}

async fn of_table(connection: &mut PgConnection, schema: &str, table: &str) -> Result<TableDigest, sqlx::Error> {
    let sql = format!("COPY (SELECT * FROM {schema}.{table} ORDER BY tenant, position) TO STDOUT");
    let mut copied = connection.copy_out_raw(&sql).await?;
    let (mut digest, mut rows) = (Sha256::new(), 0);
    while let Some(bytes) = copied.try_next().await? {
        digest.update(&bytes);
        // COPY escapes line breaks in texts: each one that is left ends a row.
        rows += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    Ok(TableDigest { rows, digest: Digest::from_bytes(digest.finalize().into()) })
}
