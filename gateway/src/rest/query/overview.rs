//! `/v1/overview`: what is going on now, from the short-term views; from the query tables where those are away.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_domain::Tenant;
use xagent_projections::{
    ApprovalRow, DecisionRow, LiveRun, Order, Overview, Question, Row, RunRow, TablesError, Test, UsageRow, Used,
    Wanted,
};

use super::super::Doors;
use super::super::extract::{Calling, Limit, Parameters};
use super::super::openapi::{Query, Shown};
use super::allowed;
use super::described::schema_of_rows;
use crate::problem::Problem;

/// Rows of a table from which those that are shown are taken, and rows of usage that are added up.
const CONSIDERED: u32 = 1000;
const ADDED: u32 = 100_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Rows of each list, at most.
    #[serde(default)]
    limit: Limit<20, 100>,
}

/// What is going on now.
#[derive(Serialize, JsonSchema)]
pub struct ShownOverview {
    /// `view` or `tables`.
    source: &'static str,
    /// Every event up to here is in the answer.
    position: u64,
    /// Runs that go on, those that something happened to last first.
    runs: Vec<LiveRun>,
    /// Approvals that wait and have not lapsed, those that lapse first first.
    #[schemars(schema_with = "schema_of_rows::<ApprovalRow>")]
    approvals: Vec<ApprovalRow>,
    /// The latest decisions, the youngest first.
    #[schemars(schema_with = "schema_of_rows::<DecisionRow>")]
    decisions: Vec<DecisionRow>,
    /// What was used up in this hour and the 23 before, by agent.
    usage: Vec<Used>,
}

/// Read what is going on now
///
/// From the short-term views, in one look; from the query tables where those are away. The read is recorded, like one of
/// decisions.
#[utoipa::path(
    get, path = "/v1/overview", operation_id = "read_overview", tag = "Queries",
    params(Parameters<Asked>), responses(Shown<ShownOverview>, Query),
)]
pub async fn overview(
    State(doors): State<Doors>,
    calling: Calling,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<ShownOverview>, Problem> {
    allowed(&doors, &calling, "read.runs", "view", "").await?;
    allowed(&doors, &calling, "read.decisions", "view", "").await?;
    let (tenant, now_us) = (&calling.caller.principal.tenant, doors.commands.ledger().now_us());
    match doors.views.overview(tenant, now_us, asked.limit.0).await {
        // At position 0 they are being filled.
        Ok(seen) if seen.position > 0 => return Ok(shown("view", seen)),
        Ok(_) => {}
        Err(error) => tracing::debug!(error = %error, "view.overview.unavailable"),
    }
    let now = DateTime::from_timestamp_micros(now_us).unwrap_or_default();
    let seen = from_tables(&doors, tenant, now, asked.limit.0).await.map_err(|error| calling.problem(error))?;
    Ok(shown("tables", seen))
}

fn shown(source: &'static str, seen: Overview) -> Json<ShownOverview> {
    let Overview { position, runs, approvals, decisions, usage } = seen;
    Json(ShownOverview { source, position, runs, approvals, decisions, usage })
}

async fn from_tables(doors: &Doors, tenant: &Tenant, now: DateTime<Utc>, most: u32) -> Result<Overview, TablesError> {
    let most = most as usize;
    let status = |names: &[&str]| vec![(Test::Is("status"), texts(names))];
    let (before, runs) = asked::<RunRow>(doors, tenant, status(&["running", "paused"]), CONSIDERED).await?;
    let (_, mut approvals) = asked::<ApprovalRow>(doors, tenant, status(&["waiting"]), CONSIDERED).await?;
    let (_, mut decisions) = asked::<DecisionRow>(doors, tenant, Vec::new(), CONSIDERED).await?;
    let since = now - TimeDelta::hours(24);
    let recent = vec![(Test::Since("hour"), Wanted::Moment(since))];
    let (_, usage) = asked::<UsageRow>(doors, tenant, recent, ADDED).await?;
    let mut runs: Vec<_> = runs.into_iter().map(live).collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.updated_at));
    runs.truncate(most);
    approvals.retain(|approval| approval.expires_at >= now);
    approvals.sort_by_key(|approval| approval.expires_at);
    approvals.truncate(most);
    decisions.truncate(most);
    let usage = by_agent(usage.into_iter().filter(|row| row.hour > since));
    Ok(Overview { position: before, runs, approvals, decisions, usage })
}

/// Rows, the youngest first, and the position they are true up to.
async fn asked<R: Row>(
    doors: &Doors,
    tenant: &Tenant,
    tests: Vec<(Test, Wanted)>,
    most: u32,
) -> Result<(u64, Vec<R>), TablesError> {
    let question = Question { tenant: tenant.clone(), tests, order: Order::Newest, after: None, limit: Some(most) };
    let found = doors.tables.ask::<R>(&question).await?;
    Ok((found.position, found.rows))
}

fn texts(names: &[&str]) -> Wanted {
    Wanted::Texts(names.iter().map(|name| (*name).to_owned()).collect())
}

fn live(row: RunRow) -> LiveRun {
    LiveRun {
        run: row.run,
        agent: row.agent,
        principal: row.principal,
        status: row.status,
        goal: row.goal.chars().take(LiveRun::GOAL).collect(),
        sequence: count(row.sequence),
        updated_at: row.updated_at,
    }
}

fn by_agent(rows: impl Iterator<Item = UsageRow>) -> Vec<Used> {
    let mut agents: BTreeMap<String, Used> = BTreeMap::new();
    for row in rows {
        let used = agents.entry(row.agent.clone()).or_insert_with(|| Used { agent: row.agent, ..Used::default() });
        used.runs += count(row.runs);
        used.consultations += count(row.consultations);
        used.tokens += count(row.tokens);
        used.tool_calls += count(row.tool_calls);
        used.denied_calls += count(row.denied_calls);
        used.decisions += count(row.decisions);
        used.denials += count(row.denials);
    }
    agents.into_values().collect()
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
