//! Which events a model's answers bring about, and where its budget ends.

use super::{
    Budget, CallStatus, Consultation, GoalChange, GoalStatus, PlannedCall, Proposal, Run, RunEvent, RunStatus,
};
use crate::governed::Refusal;
use crate::{CallId, GoalId};

impl Run {
    /// Records what a model answered. A paused run takes the answer, and acts on it when it is resumed.
    pub(super) fn plan(&self, consultation: &Consultation, goals: &[GoalChange]) -> Result<Vec<RunEvent>, Refusal> {
        self.must_not_have_ended()?;
        if consultation.step != self.steps + 1 || !self.planned.is_empty() || !self.open.is_empty() {
            let message = format!("consultation {} is not the next one of this run", consultation.step);
            return Err(Refusal::conflict("step_taken", message));
        }
        if self
            .planner
            .as_ref()
            .and_then(|planner| planner.chat())
            .is_none_or(|chat| consultation.step > chat.budget.steps)
        {
            return Err(Refusal::conflict("budget_used_up", "the run's planner may not be consulted any more"));
        }
        let mut events = vec![RunEvent::PlannerConsulted(consultation.clone())];
        let mut current = self.current_goal();
        for change in goals {
            events.push(self.goal_changed(change, current)?);
            if let GoalChange::Set { goal, .. } = change {
                current = Some(*goal);
            }
        }
        if self.status == RunStatus::Running {
            events.extend(match &consultation.proposal {
                Proposal::Achieved { summary } => self.finish(true, summary),
                Proposal::GiveUp { reason } => self.finish(false, reason),
                Proposal::CallTool { .. } | Proposal::CallTools { .. } | Proposal::Unusable { .. } => Vec::new(),
            });
        }
        Ok(events)
    }

    fn goal_changed(&self, change: &GoalChange, current: Option<GoalId>) -> Result<RunEvent, Refusal> {
        let open = |number: u32| {
            let index =
                usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).filter(|index| *index > 0);
            let goal = index.and_then(|index| self.goals.get(index)).filter(|goal| goal.status == GoalStatus::Open);
            let none = || Refusal::conflict("no_open_goal", format!("the run has no open sub-goal {number}"));
            goal.map(|goal| goal.id).ok_or_else(none)
        };
        Ok(match change {
            GoalChange::Set { goal, text } => RunEvent::GoalSet { goal: *goal, parent: current, text: text.clone() },
            GoalChange::Achieved { number, summary } => {
                RunEvent::GoalAchieved { goal: open(*number)?, summary: summary.clone() }
            }
            GoalChange::Failed { number, reason } => {
                RunEvent::GoalFailed { goal: open(*number)?, reason: reason.clone() }
            }
        })
    }

    /// Refuses an act on a planned call that is not the next one.
    pub(super) fn must_be_planned(&self, label: &str) -> Result<&PlannedCall, Refusal> {
        let none =
            || Refusal::conflict("call_not_planned", format!("`{label}` is not the next planned call of this run"));
        self.planned.first().filter(|planned| planned.label == label).ok_or_else(none)
    }

    /// Refuses a call from outside under the name of a planned one.
    pub(super) fn must_not_be_planned(&self, label: &str) -> Result<(), Refusal> {
        let is_planned = self.planned.iter().any(|planned| planned.label == label);
        let taken =
            || Refusal::conflict("label_planned", format!("`{label}` is the name of a call the planner has planned"));
        if is_planned { Err(taken()) } else { Ok(()) }
    }

    /// The goal pursued now: the youngest open one.
    pub(super) fn current_goal(&self) -> Option<GoalId> {
        self.goals.iter().rev().find(|goal| goal.status == GoalStatus::Open).map(|goal| goal.id)
    }

    /// Every open goal, sub-goals before those they serve.
    pub(super) fn open_goals(&self) -> impl Iterator<Item = GoalId> {
        self.goals.iter().rev().filter(|goal| goal.status == GoalStatus::Open).map(|goal| goal.id)
    }

    /// The next call the planner has asked for and that is not proposed yet.
    pub fn planned(&self) -> Option<&PlannedCall> {
        self.planned.first()
    }

    /// The calls that may start now, in the order they were planned in; where nobody planned them together, one.
    pub fn startable(&self) -> Vec<CallId> {
        let ready = |status| matches!(status, CallStatus::Allowed | CallStatus::Approved);
        let ours = |call: &&super::Call| self.is_for_workers(call) && ready(call.status);
        if self.planner.as_ref().and_then(|planner| planner.chat()).is_none() {
            return self.open.values().find(ours).map(|call| call.id).into_iter().collect();
        }
        let order = |label: &str| self.memory.last_calls().iter().position(|call| call.label == label);
        let mut calls: Vec<_> = self.open.values().filter(ours).collect();
        calls.sort_by_key(|call| (order(&call.label).unwrap_or(usize::MAX), call.id));
        calls.into_iter().map(|call| call.id).collect()
    }

    /// What of its budget the run has used up, if anything: before its planner is consulted, or before what it asked for is
    /// proposed. Only planners that are models have a budget here; the law has its own.
    pub fn budget_used_up(&self, now_us: i64, consulting: bool) -> Option<String> {
        let Budget { steps, calls, tokens, wall_ms } = self.planner.as_ref()?.chat()?.budget;
        let since_us = self.started_us.map_or(0, |started| now_us.saturating_sub(started)).max(0);
        let since_ms = u64::try_from(since_us / 1000).unwrap_or(0);
        let rows = [
            ("consultations", if consulting { u64::from(self.steps) } else { 0 }, u64::from(steps)),
            ("tool calls", u64::from(self.tally.total), u64::from(calls)),
            ("tokens", self.spent.tokens, tokens),
            ("milliseconds", since_ms, wall_ms),
        ];
        let row = rows.into_iter().find(|(_, used, most)| used >= most)?;
        Some(format!("the budget is used up: {} of {} {}", row.1, row.2, row.0))
    }
}
