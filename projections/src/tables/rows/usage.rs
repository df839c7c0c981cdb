//! Usage by hour, and switches of the law.

use chrono::{DateTime, Utc};

use super::{AGENT, PRINCIPAL};
use crate::tables::row::{Celled, Column, Filter, Listed, Row, is, row, since, until};

row! {
    /// What an agent used up in an hour, on the authority of a principal.
    UsageRow in "usage" by ["tenant", "hour", "agent", "principal"], filtered by [
        AGENT, PRINCIPAL, since("hour"), until("hour"),
    ];
    /// Whose it is.
    tenant: String,
    /// The hour's beginning, in UTC.
    hour: DateTime<Utc>,
    /// The agent; empty for what belongs to no run.
    agent: String,
    /// The principal.
    principal: String,
    /// Runs that started.
    runs: i64,
    /// Times a planner was asked.
    consultations: i64,
    /// Tokens planners cost.
    tokens: i64,
    /// Tool calls that were decided.
    tool_calls: i64,
    /// Tool calls that were denied.
    denied_calls: i64,
    /// Decisions made.
    decisions: i64,
    /// Decisions among them that denied.
    denials: i64,
    /// Approvals that were asked for.
    approvals: i64,
    /// Money of the calls that started, in millionths of a unit.
    money_micros: i64,
    /// Bytes that tools answered with.
    output_bytes: i64,
    /// Time that tools took, in microseconds.
    tool_time_us: i64,
    /// The position of the first event that is counted here.
    position: i64,
}

row! {
    /// When which policy bundle came into force.
    SwitchRow in "switches" by ["tenant", "position"], filtered by [
        is("bundle", "to this bundle"), since("switched_at"), until("switched_at"),
    ];
    /// Whose record it is in: the law is one for the installation.
    tenant: String,
    /// Digest of the bundle.
    bundle: String,
    /// The one it replaced.
    previous: Option<String>,
    /// Whether it had decided before and was returned to.
    rolled_back: bool,
    /// Who switched.
    switched_by: String,
    /// When.
    switched_at: DateTime<Utc>,
    /// The position of the event.
    position: i64,
}
