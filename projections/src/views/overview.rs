//! What is going on in a tenant, in one round trip.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use redis::Script;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xagent_domain::Tenant;

use super::store::{LIVE, READ, within};
use super::usage::hour;
use super::{RunViews, ViewError};
use crate::{ApprovalRow, DecisionRow};

static OVERVIEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("overview.lua")));
/// Hours whose usage is told.
pub(crate) const HOURS: i64 = 24;

/// A run that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveRun {
    /// Its id.
    pub run: String,
    /// The agent's name.
    pub agent: String,
    /// On whose authority it acts.
    pub principal: String,
    /// `running` or `paused`.
    pub status: String,
    /// The beginning of its goal.
    pub goal: String,
    /// Sequence of its last event.
    pub sequence: u64,
    /// When that was recorded.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub updated_at: DateTime<Utc>,
}

impl LiveRun {
    /// Characters of a goal that are shown.
    pub const GOAL: usize = 200;
}

/// What an agent has used up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Used {
    /// The agent; empty for what belongs to no run, `*` for all those past the bound of an hour.
    pub agent: String,
    /// Runs that started.
    pub runs: u64,
    /// Times a planner was asked.
    pub consultations: u64,
    /// Tokens planners cost.
    pub tokens: u64,
    /// Tool calls that were decided.
    pub tool_calls: u64,
    /// Tool calls that were denied.
    pub denied_calls: u64,
    /// Decisions made.
    pub decisions: u64,
    /// Decisions among them that denied.
    pub denials: u64,
}

/// What is going on in a tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// Every event up to here is in it.
    pub position: u64,
    /// Runs that go on, those that something happened to last first.
    pub runs: Vec<LiveRun>,
    /// Approvals that wait, those that lapse first first.
    pub approvals: Vec<ApprovalRow>,
    /// Decisions, the youngest first.
    pub decisions: Vec<DecisionRow>,
    /// What was used up in this hour and the 23 before, by agent.
    pub usage: Vec<Used>,
}

type Found = (u64, Vec<Option<String>>, Vec<Option<String>>, Vec<Option<String>>, Vec<Vec<(String, u64)>>);

impl RunViews {
    /// What is going on at a moment, `most` rows of each list.
    pub async fn overview(&self, tenant: &Tenant, now_us: i64, most: u32) -> Result<Overview, ViewError> {
        let mut call = OVERVIEW.key(LIVE);
        call.arg(tenant.as_str()).arg(now_us).arg(most);
        let now = hour(now_us);
        for hour in now - HOURS + 1..=now {
            call.arg(hour);
        }
        let found: Found = within(READ, call.invoke_async(&mut self.redis())).await?;
        let (position, runs, approvals, decisions, usage) = found;
        Ok(Overview {
            position,
            runs: rows("live", runs)?,
            approvals: rows("approvals", approvals)?,
            decisions: rows("decisions", decisions)?,
            usage: summed(usage.into_iter().flatten()),
        })
    }
}

fn rows<T: DeserializeOwned>(name: &str, texts: Vec<Option<String>>) -> Result<Vec<T>, ViewError> {
    let read = |text: String| serde_json::from_str(&text).map_err(|error| ViewError::undecodable(name, &error));
    texts.into_iter().flatten().map(read).collect()
}

/// Counts of all hours, by agent.
fn summed(counts: impl Iterator<Item = (String, u64)>) -> Vec<Used> {
    let mut agents: BTreeMap<String, Used> = BTreeMap::new();
    for (field, count) in counts {
        let Some((name, agent)) = field.split_once(':') else { continue };
        let used =
            agents.entry(agent.to_owned()).or_insert_with(|| Used { agent: agent.to_owned(), ..Used::default() });
        let counted = match name {
            "runs" => &mut used.runs,
            "consultations" => &mut used.consultations,
            "tokens" => &mut used.tokens,
            "tool_calls" => &mut used.tool_calls,
            "denied_calls" => &mut used.denied_calls,
            "decisions" => &mut used.decisions,
            "denials" => &mut used.denials,
            _ => continue,
        };
        *counted += count;
    }
    agents.into_values().collect()
}
