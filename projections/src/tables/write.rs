//! A page of events into the tables: rows and position in one transaction, so that a page is in once or not at all.

use serde::Serialize;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use xagent_domain::Recorded;

use super::TablesError;
use super::connect::signed;
use super::fold::{Changes, Fold};
use super::load::load;
use super::row::{Listed, Row};
use super::rows::{ApprovalRow, DecisionRow, GoalRow, RunRow, SwitchRow, ToolCallRow, UsageRow};

/// Held by whoever moves the tables, so that all statements of a page find the same ones.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7281094560)";
const OPERATION: &str = "write rows";

/// Applies `events`, which follow directly on `from`. Returns how many tool calls among them started without an allow.
pub(super) async fn apply(
    connection: &mut PgConnection,
    schema: &str,
    fold: &mut Fold,
    from: u64,
    events: &[Recorded],
) -> Result<u64, TablesError> {
    let written = page(connection, schema, fold, from, events).await;
    if written.is_err() {
        fold.forget();
    }
    written
}

async fn page(
    connection: &mut PgConnection,
    schema: &str,
    fold: &mut Fold,
    from: u64,
    events: &[Recorded],
) -> Result<u64, TablesError> {
    let Some(to) = events.last().map(|event| event.position) else { return Ok(0) };
    let database = |error: sqlx::Error| TablesError::database(OPERATION, &error);
    let mut transaction = connection.begin().await.map_err(database)?;
    sqlx::query(LOCK).execute(&mut *transaction).await.map_err(database)?;
    let unknown = load(&mut transaction, schema, fold.unknown(events)).await?;
    let changes = tokio::task::block_in_place(|| fold.fold(events, unknown));
    write(&mut transaction, schema, &changes).await?;
    advance(&mut transaction, schema, from, to, changes.unreadable).await?;
    transaction.commit().await.map_err(database)?;
    Ok(changes.unallowed)
}

/// Takes the lock of whoever moves the tables, for the length of the transaction.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), TablesError> {
    let locked = sqlx::query(LOCK).execute(connection).await;
    locked.map(drop).map_err(|error| TablesError::database(OPERATION, &error))
}

/// Moves the position, if it is where the writer thinks.
async fn advance(
    connection: &mut PgConnection,
    schema: &str,
    from: u64,
    to: u64,
    unreadable: i64,
) -> Result<(), TablesError> {
    let database = |error: sqlx::Error| TablesError::database(OPERATION, &error);
    let sql = format!("UPDATE {schema}.position SET position = $2, unreadable = unreadable + $3 WHERE position = $1");
    let moved = sqlx::query(&sql).bind(signed(from)).bind(signed(to)).bind(unreadable).execute(&mut *connection).await;
    if moved.map_err(database)?.rows_affected() == 1 {
        return Ok(());
    }
    let sql = format!("SELECT position FROM {schema}.position");
    let found: i64 = sqlx::query_scalar(&sql).fetch_one(connection).await.map_err(database)?;
    Err(TablesError::Moved { expected: from, found: u64::try_from(found).unwrap_or(0) })
}

async fn write(connection: &mut PgConnection, schema: &str, changes: &Changes) -> Result<(), TablesError> {
    put::<RunRow, _>(connection, schema, &changes.runs, &replaced::<RunRow>()).await?;
    put::<GoalRow, _>(connection, schema, &changes.goals, &replaced::<GoalRow>()).await?;
    put::<DecisionRow, _>(connection, schema, &changes.decisions, &replaced::<DecisionRow>()).await?;
    put::<ToolCallRow, _>(connection, schema, &changes.calls, &replaced::<ToolCallRow>()).await?;
    put::<ApprovalRow, _>(connection, schema, &changes.approvals, &replaced::<ApprovalRow>()).await?;
    put::<UsageRow, _>(connection, schema, &changes.usage.rows(), &added()).await?;
    put::<SwitchRow, _>(connection, schema, &changes.switches, &replaced::<SwitchRow>()).await
}

/// What becomes of a row that is there already: it is the new one.
fn replaced<R: Row>() -> String {
    let columns = R::COLUMNS.iter().filter(|column| !R::KEY.contains(&column.name));
    columns.map(|column| format!("{0} = EXCLUDED.{0}", column.name)).collect::<Vec<_>>().join(", ")
}

/// Counts are added up; their position remains that of the first event.
fn added() -> String {
    let counts = UsageRow::COLUMNS.iter().filter(|c| !UsageRow::KEY.contains(&c.name) && c.name != "position");
    counts.map(|column| format!("{0} = counts.{0} + EXCLUDED.{0}", column.name)).collect::<Vec<_>>().join(", ")
}

async fn put<R: Row, S: Serialize>(
    connection: &mut PgConnection,
    schema: &str,
    rows: &[S],
    otherwise: &str,
) -> Result<(), TablesError> {
    if rows.is_empty() {
        return Ok(());
    }
    let table = format!("{schema}.{}", R::NAME);
    let sql = format!(
        "INSERT INTO {table} AS counts SELECT * FROM json_populate_recordset(NULL::{table}, $1::json) \
         ON CONFLICT ({}) DO UPDATE SET {otherwise}",
        R::KEY.join(", ")
    );
    let written = sqlx::query(&sql).bind(json(rows)?).execute(connection).await;
    written.map(drop).map_err(|error| TablesError::database(OPERATION, &error))
}

/// Rows as JSON. Postgres' texts hold no NUL, and JSON's may: there it becomes the replacement character.
fn json<S: Serialize>(rows: &[S]) -> Result<String, TablesError> {
    let failed = |error: serde_json::Error| TablesError::Failed { operation: OPERATION, detail: error.to_string() };
    let text = serde_json::to_string(rows).map_err(failed)?;
    if !text.contains("\\u0000") {
        return Ok(text);
    }
    let mut value: Value = serde_json::from_str(&text).map_err(failed)?;
    replace_nul(&mut value);
    Ok(value.to_string())
}

fn replace_nul(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(replace_nul),
        Value::Object(fields) => fields.values_mut().for_each(replace_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgres_cannot_hold_is_replaced_and_nothing_else() {
        let kept = json(&["a\\u0000b", "c\0d"]).unwrap();
        assert_eq!(serde_json::from_str::<Vec<String>>(&kept).unwrap(), ["a\\u0000b", "c\u{fffd}d"]);
    }
}
