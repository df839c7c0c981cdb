//! What is used up, counted by hour, agent and principal.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::Seen;
use crate::tables::rows::{DecisionRow, UsageRow};

/// What is to be added, by tenant, hour, agent and principal.
#[derive(Default)]
pub(in crate::tables) struct UsageDeltas(BTreeMap<(String, DateTime<Utc>, String, String), UsageRow>);

impl UsageDeltas {
    /// The counts of the hour of an event.
    pub(super) fn of(&mut self, seen: &Seen<'_>, agent: &str, principal: &str) -> &mut UsageRow {
        let hour = seen.at.duration_trunc(TimeDelta::hours(1)).unwrap_or(seen.at);
        let key = (seen.tenant(), hour, agent.to_owned(), principal.to_owned());
        self.0.entry(key).or_insert_with_key(|(tenant, hour, agent, principal)| UsageRow {
            tenant: tenant.clone(),
            hour: *hour,
            agent: agent.clone(),
            principal: principal.clone(),
            runs: 0,
            consultations: 0,
            tokens: 0,
            tool_calls: 0,
            denied_calls: 0,
            decisions: 0,
            denials: 0,
            approvals: 0,
            money_micros: 0,
            output_bytes: 0,
            tool_time_us: 0,
            position: seen.position,
        })
    }

    /// Counts a decision.
    pub(super) fn decided(&mut self, seen: &Seen<'_>, row: &DecisionRow) -> &mut UsageRow {
        let counts = self.of(seen, row.agent.as_deref().unwrap_or_default(), &row.principal);
        counts.decisions += 1;
        counts.denials += i64::from(row.verdict == "deny");
        counts
    }

    /// The rows.
    pub fn rows(&self) -> Vec<&UsageRow> {
        self.0.values().collect()
    }
}
