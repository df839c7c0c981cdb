//! Runs as the tables hold them, to be folded on.

use std::collections::HashMap;

use sqlx::{PgConnection, Row as _};

use super::TablesError;
use super::fold::{RunKey, RunState};
use super::row::Row;
use super::rows::{ApprovalRow, GoalRow, RunRow, ToolCallRow};

const OPERATION: &str = "load runs";

/// The runs of these keys, each with what is open in it. One that is not there comes back as nothing known.
pub(super) async fn load(
    connection: &mut PgConnection,
    schema: &str,
    keys: Vec<RunKey>,
) -> Result<HashMap<RunKey, RunState>, TablesError> {
    let mut states = HashMap::new();
    if keys.is_empty() {
        return Ok(states);
    }
    let (tenants, runs): (Vec<_>, Vec<_>) = keys.iter().cloned().unzip();
    states.extend(keys.into_iter().map(|key| (key, RunState::default())));
    let mut found = |(tenant, run): (&String, &String), put: &mut dyn FnMut(&mut RunState)| {
        if let Some(state) = states.get_mut(&(tenant.clone(), run.clone())) {
            put(state);
        }
    };
    for row in rows::<RunRow>(connection, schema, "true", &tenants, &runs).await? {
        found((&row.tenant, &row.run), &mut |state| state.row = Some(row.clone()));
    }
    for row in rows::<GoalRow>(connection, schema, "ended_at IS NULL", &tenants, &runs).await? {
        found((&row.tenant, &row.run), &mut |state| drop(state.goals.insert(row.goal.clone(), row.clone())));
    }
    for row in rows::<ToolCallRow>(connection, schema, "ended_at IS NULL", &tenants, &runs).await? {
        found((&row.tenant, &row.run), &mut |state| drop(state.calls.insert(row.call.clone(), row.clone())));
    }
    let open = "status IN ('waiting', 'granted')";
    for row in rows::<ApprovalRow>(connection, schema, open, &tenants, &runs).await? {
        found((&row.tenant, &row.run), &mut |state| drop(state.approvals.insert(row.approval.clone(), row.clone())));
    }
    Ok(states)
}

async fn rows<R: Row>(
    connection: &mut PgConnection,
    schema: &str,
    open: &str,
    tenants: &[String],
    runs: &[String],
) -> Result<Vec<R>, TablesError> {
    let sql = format!(
        "SELECT to_json(one)::text AS one FROM {schema}.{} AS one JOIN unnest($1::text[], $2::text[]) AS wanted (tenant, run) \
         USING (tenant, run) WHERE {open}",
        R::NAME
    );
    let found = sqlx::query(&sql).bind(tenants).bind(runs).fetch_all(connection).await;
    let found = found.map_err(|error| TablesError::database(OPERATION, &error))?;
    found.iter().map(|row| read(&row.try_get::<String, _>("one").unwrap_or_default())).collect()
}

/// A row from its JSON.
pub(super) fn read<R: Row>(text: &str) -> Result<R, TablesError> {
    serde_json::from_str(text).map_err(|error| TablesError::Failed {
        operation: "read a row",
        detail: format!("{}: {error}; `xagent rebuild tables` fills the tables again", R::NAME),
    })
}
