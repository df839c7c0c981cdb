//! Runs and their goals.

use chrono::{DateTime, Utc};

use super::{AGENT, PRINCIPAL, RUN};
use crate::tables::row::{Celled, Column, Filter, Listed, Row, id, is, mentions, one_of, row, since, until};

const RUN_STATUSES: &[&str] = &["not_started", "running", "paused", "completed", "failed", "cancelled"];
const GOAL_STATUSES: &[&str] = &["open", "achieved", "failed"];

row! {
    /// A run: one pursuit of a goal by an agent.
    RunRow in "runs" by ["tenant", "run"], filtered by [
        id("run", "this run"), AGENT, PRINCIPAL, is("planner", "planned so"),
        one_of("status", RUN_STATUSES, "that stand so"), since("started_at"), until("started_at"),
        mentions(&["goal", "summary"], "whose goal or summary contains this"),
    ];
    /// Whose it is.
    tenant: String,
    /// Its id.
    run: String,
    /// The agent's name; empty where the run did not come to start.
    agent: String,
    /// On whose authority it acts.
    principal: String,
    /// Who plans.
    planner: String,
    /// Its root goal, in words.
    goal: String,
    /// `running`, `paused`, `completed`, `failed` or `cancelled`.
    status: String,
    /// How it ended, in a sentence.
    summary: String,
    /// The run it continues.
    forked_from: Option<String>,
    /// When its first event was recorded.
    started_at: DateTime<Utc>,
    /// When it ended.
    ended_at: Option<DateTime<Utc>>,
    /// When its last event was recorded.
    updated_at: DateTime<Utc>,
    /// Tool calls that were decided.
    tool_calls: i64,
    /// Tool calls that were denied.
    denied_calls: i64,
    /// Decisions made in it.
    decisions: i64,
    /// Decisions among them that denied.
    denials: i64,
    /// Approvals it asked for.
    approvals: i64,
    /// Times its planner was asked.
    consultations: i64,
    /// Tokens its planner cost.
    tokens: i64,
    /// Money of the calls that started, in millionths of a unit.
    money_micros: i64,
    /// Bytes its tools answered with.
    output_bytes: i64,
    /// The sequence of its last event.
    sequence: i64,
    /// The position of its first event.
    position: i64,
    /// The position of its last event.
    last_position: i64,
}

row! {
    /// A goal of a run.
    GoalRow in "goals" by ["tenant", "run", "goal"], filtered by [
        id("goal", "this goal"), AGENT, PRINCIPAL, RUN, one_of("status", GOAL_STATUSES, "that stand so"),
        since("set_at"), until("set_at"), mentions(&["text", "summary"], "whose words contain this"),
    ];
    /// Whose it is.
    tenant: String,
    /// Its run.
    run: String,
    /// Its id.
    goal: String,
    /// The goal it serves; none for a root goal.
    parent: Option<String>,
    /// The agent's name.
    agent: String,
    /// On whose authority the run acts.
    principal: String,
    /// What is wanted, in words.
    text: String,
    /// `open`, `achieved` or `failed`.
    status: String,
    /// How it was reached, or why it was not.
    summary: String,
    /// When it was set.
    set_at: DateTime<Utc>,
    /// When it was reached or given up.
    ended_at: Option<DateTime<Utc>>,
    /// The position of the event that set it.
    position: i64,
    /// The position of the last event about it.
    last_position: i64,
}
