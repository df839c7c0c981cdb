//! Reading a configured database: one statement, read-only, by a role that can do nothing else, bounded in time and size.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Column, ConnectOptions, Connection, Executor, Statement, TypeInfo};

use super::Toolkit;

/// What a row may hold, in bytes of JSON; the database does not send a larger one.
const LARGEST_ROW: usize = 64 * 1024;
/// What all rows may hold, in bytes of JSON.
const LARGEST: usize = 512 * 1024;
/// Rows fetched at once.
const BATCH: usize = 50;
/// Connecting, and what else is to be done beside the statement.
const AROUND: Duration = Duration::from_secs(10);
/// Integers beyond are rounded by other readers (RFC 8259 section 6).
const SAFE: i64 = (1 << 53) - 1;
const MAY_WRITE: &str = include_str!("writes.sql");

pub(super) async fn sql_query(kit: &Toolkit, arguments: &Value) -> Result<Value, String> {
    let (name, sql) =
        (arguments["database"].as_str().unwrap_or_default(), arguments["sql"].as_str().unwrap_or_default());
    let limit = usize::try_from(arguments["limit"].as_u64().unwrap_or(100)).unwrap_or(100);
    let database = kit.databases().get(name).ok_or_else(|| {
        let known = kit.databases().keys().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
        format!("there is no database `{name}`; configured are: {}", if known.is_empty() { "none" } else { &known })
    })?;
    let url = kit.secrets().fill(&database.url)?;
    let most = Duration::from_millis(database.timeout_ms.into()) + AROUND;
    let read = tokio::time::timeout(most, in_a_session(&url, database.timeout_ms, sql, limit)).await;
    read.map_err(|_| format!("the database `{name}` gave no answer in {} s", most.as_secs()))?
}

async fn in_a_session(url: &str, timeout_ms: u32, sql: &str, limit: usize) -> Result<Value, String> {
    let timeout = timeout_ms.to_string();
    let options = PgConnectOptions::from_str(url).map_err(|error| shown(&error))?;
    let options = options.application_name("xagent sql_query").statement_cache_capacity(0).disable_statement_logging();
    let options = options.options([
        ("default_transaction_read_only", "on"),
        ("statement_timeout", &timeout),
        ("lock_timeout", "1000"),
        ("idle_in_transaction_session_timeout", "30000"),
    ]);
    let mut session = options.connect().await.map_err(|error| shown(&error))?;
    let read = read(&mut session, sql, limit).await;
    // Nothing of it outlives the call, whether the server hears of its end or not.
    let _closed = tokio::time::timeout(Duration::from_secs(1), session.close()).await;
    read
}

async fn read(session: &mut PgConnection, sql: &str, limit: usize) -> Result<Value, String> {
    session.execute("BEGIN TRANSACTION READ ONLY").await.map_err(|error| shown(&error))?;
    let writes: Option<String> =
        sqlx::query_scalar(MAY_WRITE).fetch_optional(&mut *session).await.map_err(|error| shown(&error))?;
    if let Some(what) = writes {
        return Err(format!("the database's role can do more than read ({what}): give sql_query a role of its own"));
    }
    let sql = sql.trim().trim_end_matches(';');
    let columns = columns(session, sql).await?;
    // A cursor takes nothing but a query, and the protocol for prepared statements takes one statement.
    let declare = format!(
        "DECLARE xagent NO SCROLL CURSOR FOR SELECT CASE WHEN octet_length(line) <= {LARGEST_ROW} THEN line END \
         FROM (SELECT row_to_json(asked)::text AS line FROM (\n{sql}\n) AS asked) AS lines"
    );
    sqlx::query(&declare).persistent(false).execute(&mut *session).await.map_err(|error| shown(&error))?;
    let (rows, truncated) = rows(session, limit).await?;
    Ok(json!({"columns": columns, "count": rows.len(), "rows": rows, "truncated": truncated}))
}

async fn columns(session: &mut PgConnection, sql: &str) -> Result<Vec<Value>, String> {
    let statement = session.prepare(sql).await.map_err(|error| shown(&error))?;
    let mut names = BTreeSet::new();
    for column in statement.columns() {
        if !names.insert(column.name()) {
            return Err(format!("two columns are named `{}`: name one of them with AS", column.name()));
        }
    }
    if names.is_empty() {
        return Err("it gives no columns: only a SELECT is run".to_owned());
    }
    let shown = |column: &sqlx::postgres::PgColumn| json!({"name": column.name(), "type": column.type_info().name()});
    Ok(statement.columns().iter().map(shown).collect())
}

async fn rows(session: &mut PgConnection, limit: usize) -> Result<(Vec<Value>, bool), String> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    loop {
        let fetch = format!("FETCH FORWARD {} FROM xagent", BATCH.min(limit + 1 - rows.len()));
        let lines: Vec<Option<String>> = sqlx::query_scalar(&fetch)
            .persistent(false)
            .fetch_all(&mut *session)
            .await
            .map_err(|error| shown(&error))?;
        if lines.is_empty() {
            return Ok((rows, false));
        }
        for line in lines {
            let line = line.ok_or_else(|| format!("a row is larger than {LARGEST_ROW} bytes: ask for less of it"))?;
            bytes += line.len();
            if rows.len() == limit || bytes > LARGEST {
                return Ok((rows, true));
            }
            rows.push(exact(&line)?);
        }
    }
}

/// A JSON document without floats: a number that is no safe integer becomes the text it is.
fn exact(text: &str) -> Result<Value, String> {
    let wrong = |error: serde_json::Error| format!("the database's row is no JSON: {error}");
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(wrong)?;
            fields.into_iter().map(|(name, value)| Ok((name, exact(value.get())?))).collect()
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(wrong)?;
            items.into_iter().map(|item| exact(item.get())).collect()
        }
        Some(b'-' | b'0'..=b'9') => Ok(match text.trim().parse::<i64>() {
            Ok(number) if (-SAFE..=SAFE).contains(&number) => Value::from(number),
            _ => Value::from(text.trim()),
        }),
        _ => serde_json::from_str(text).map_err(wrong),
    }
}

/// What the database says; of other failures what kind they are.
fn shown(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(said) => {
            let code = said.code().map(|code| format!(" ({code})")).unwrap_or_default();
            format!("the database says: {}{code}", said.message())
        }
        sqlx::Error::Configuration(_) => "the database's URL cannot be read".to_owned(),
        other => format!("the database cannot be asked: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_what_they_are() {
        let text = "{\"a\": 1.10, \"b\": 9007199254740993, \"c\": [1, -2.5e3, {\"d\": 9007199254740991}], \"e\": null, \"f\": \"1.1\"}";
        let expected = json!({"a": "1.10", "b": "9007199254740993", "c": [1, "-2.5e3", {"d": 9_007_199_254_740_991_i64}], "e": null, "f": "1.1"});
        assert_eq!(exact(text).unwrap(), expected);
        assert!(exact("NaN").is_err() && exact("{").is_err());
    }
}
