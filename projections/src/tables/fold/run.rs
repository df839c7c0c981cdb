//! A run and what is open in it, event by event.

use std::collections::{BTreeMap, BTreeSet};

use xagent_domain::run::RunEvent;

use super::decided::{about, decision};
use super::{Changes, Seen};
use crate::tables::rows::{ApprovalRow, GoalRow, RunRow, ToolCallRow};

/// A run with its open goals, calls and approvals.
#[derive(Default)]
pub(in crate::tables) struct RunState {
    /// None before its first event.
    pub row: Option<RunRow>,
    /// By id, like the others.
    pub goals: BTreeMap<String, GoalRow>,
    pub calls: BTreeMap<String, ToolCallRow>,
    pub approvals: BTreeMap<String, ApprovalRow>,
    /// What the present page changed: goals, calls, approvals.
    touched: [BTreeSet<String>; 3],
}

impl RunState {
    /// Hands out what changed since the last time, and forgets what has ended.
    pub(super) fn give(&mut self, changes: &mut Changes) {
        let [goals, calls, approvals] = std::mem::take(&mut self.touched);
        changes.goals.extend(goals.iter().filter_map(|id| self.goals.get(id)).cloned());
        changes.calls.extend(calls.iter().filter_map(|id| self.calls.get(id)).cloned());
        changes.approvals.extend(approvals.iter().filter_map(|id| self.approvals.get(id)).cloned());
        changes.runs.extend(self.row.clone());
        self.goals.retain(|_, goal| goal.ended_at.is_none());
        self.calls.retain(|_, call| call.ended_at.is_none());
        self.approvals.retain(|_, approval| matches!(approval.status.as_str(), "waiting" | "granted"));
    }

    /// Applies an event.
    pub(super) fn apply(&mut self, seen: &Seen<'_>, event: &RunEvent, changes: &mut Changes) {
        let mut row = self.row.take().unwrap_or_else(|| begun(seen));
        (row.sequence, row.last_position, row.updated_at) = (seen.sequence, seen.position, seen.at);
        self.happened(&mut row, seen, event, changes);
        self.row = Some(row);
    }

    fn happened(&mut self, row: &mut RunRow, seen: &Seen<'_>, event: &RunEvent, changes: &mut Changes) {
        match event {
            RunEvent::DecisionMade(made) => {
                let mut decided = decision(seen, made, Some(row));
                row.decisions += 1;
                row.denials += i64::from(decided.verdict == "deny");
                let call = decided.call.as_ref().and_then(|id| self.calls.get(id));
                call.into_iter().for_each(|call| about(&mut decided, call));
                let counts = changes.usage.decided(seen, &decided);
                if decided.command.is_none() {
                    self.call_decided(row, seen, &decided, counts);
                }
                changes.decisions.push(decided);
            }
            RunEvent::RunStarted { agent, principal, planner, .. } => {
                row.agent.clone_from(agent);
                row.principal.clone_from(&principal.id);
                planner.name().clone_into(&mut row.planner);
                "running".clone_into(&mut row.status);
                changes.usage.of(seen, agent, &principal.id).runs += 1;
            }
            RunEvent::GoalSet { goal, parent, text } => {
                if parent.is_none() && row.goal.is_empty() {
                    row.goal.clone_from(text);
                }
                let (goal, parent) = (goal.to_string(), parent.map(|parent| parent.to_string()));
                self.touched[0].insert(goal.clone());
                self.goals.insert(goal.clone(), set(row, seen, goal, parent, text));
            }
            RunEvent::PlannerConsulted(consultation) => {
                let tokens = i64::try_from(consultation.tokens).unwrap_or(i64::MAX);
                row.consultations += 1;
                row.tokens = row.tokens.saturating_add(tokens);
                let counts = changes.usage.of(seen, &row.agent, &row.principal);
                counts.consultations += 1;
                counts.tokens = counts.tokens.saturating_add(tokens);
            }
            RunEvent::GoalAchieved { goal, summary } => self.goal_ended(seen, &goal.to_string(), "achieved", summary),
            RunEvent::GoalFailed { goal, reason } => self.goal_ended(seen, &goal.to_string(), "failed", reason),
            RunEvent::RunPaused { .. } => "paused".clone_into(&mut row.status),
            RunEvent::RunResumed {} => "running".clone_into(&mut row.status),
            RunEvent::RunCancelled { reason } => ended(row, seen, "cancelled", reason),
            RunEvent::RunCompleted { summary } => ended(row, seen, "completed", summary),
            RunEvent::RunFailed { reason } => ended(row, seen, "failed", reason),
            // It never became a call: the event alone tells of it.
            RunEvent::ToolCallRejected { .. } => {}
            // It belongs to the run that this one continues, and is told of there.
            RunEvent::EventInherited(_) => {}
            RunEvent::RunForked { from, .. } => row.forked_from = Some(from.to_string()),
            RunEvent::ToolCallProposed { .. }
            | RunEvent::ApprovalRequested { .. }
            | RunEvent::ApprovalGranted { .. }
            | RunEvent::ApprovalRefused { .. }
            | RunEvent::ToolCallStarted { .. }
            | RunEvent::ToolCallCompleted { .. }
            | RunEvent::RecordingMissing { .. }
            | RunEvent::ToolCallInterrupted { .. } => self.call_happened(row, seen, event, changes),
        }
    }

    fn goal_ended(&mut self, seen: &Seen<'_>, id: &str, status: &str, summary: &str) {
        if let Some(goal) = self.goals.get_mut(id) {
            status.clone_into(&mut goal.status);
            summary.clone_into(&mut goal.summary);
            (goal.ended_at, goal.last_position) = (Some(seen.at), seen.position);
            self.touched[0].insert(id.to_owned());
        }
    }

    /// The open call of this id, which changes now.
    pub(super) fn call(&mut self, seen: &Seen<'_>, id: &str) -> Option<&mut ToolCallRow> {
        let call = self.calls.get_mut(id)?;
        call.last_position = seen.position;
        self.touched[1].insert(id.to_owned());
        Some(call)
    }

    /// The approval of this id, which changes now.
    pub(super) fn approval(&mut self, seen: &Seen<'_>, id: &str) -> Option<&mut ApprovalRow> {
        let approval = self.approvals.get_mut(id)?;
        approval.last_position = seen.position;
        self.touched[2].insert(id.to_owned());
        Some(approval)
    }
}

/// A run at its first event.
fn begun(seen: &Seen<'_>) -> RunRow {
    RunRow {
        tenant: seen.tenant(),
        run: seen.recorded.aggregate_id.clone(),
        agent: String::new(),
        principal: String::new(),
        planner: String::new(),
        goal: String::new(),
        status: "not_started".to_owned(),
        summary: String::new(),
        forked_from: None,
        started_at: seen.at,
        ended_at: None,
        updated_at: seen.at,
        tool_calls: 0,
        denied_calls: 0,
        decisions: 0,
        denials: 0,
        approvals: 0,
        consultations: 0,
        tokens: 0,
        money_micros: 0,
        output_bytes: 0,
        sequence: seen.sequence,
        position: seen.position,
        last_position: seen.position,
    }
}

fn set(row: &RunRow, seen: &Seen<'_>, goal: String, parent: Option<String>, text: &str) -> GoalRow {
    GoalRow {
        tenant: row.tenant.clone(),
        run: row.run.clone(),
        goal,
        parent,
        agent: row.agent.clone(),
        principal: row.principal.clone(),
        text: text.to_owned(),
        status: "open".to_owned(),
        summary: String::new(),
        set_at: seen.at,
        ended_at: None,
        position: seen.position,
        last_position: seen.position,
    }
}

fn ended(row: &mut RunRow, seen: &Seen<'_>, status: &str, summary: &str) {
    status.clone_into(&mut row.status);
    summary.clone_into(&mut row.summary);
    row.ended_at = Some(seen.at);
}
