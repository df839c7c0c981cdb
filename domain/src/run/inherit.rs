//! What a run takes over of the one it continues: all that was over by then. What was under way is for it to do again, so
//! that the law decides on it; and how the other one went on or ended is not its own.

use std::collections::BTreeMap;

use super::{Inherited, Past, Proposal, Run, RunEvent};
use crate::{CallId, Event, GoalId, Question};

/// The events that bring a run that has just begun to where `history` ends. Its goals are its own: the root goal is `root`,
/// sub-goals get `ids`, in the order they were set. What a model was told and replied is taken over where `by_model` says
/// that one goes on.
pub fn inherit(history: &[Past], root: GoalId, ids: &[GoalId], by_model: bool) -> Vec<RunEvent> {
    let facts: Vec<Past> = history.iter().map(own).collect();
    let mut heir = Heir { end: Run::default(), goals: BTreeMap::new(), root: None, by_model };
    facts.iter().for_each(|past| heir.end.apply(&past.event));
    let mut ids = ids.iter().copied();
    let mut events = Vec::new();
    for past in &facts {
        match &past.event {
            RunEvent::GoalSet { goal, parent, text } => {
                let is_root = heir.root.is_none();
                let Some(id) = (if is_root { Some(root) } else { ids.next() }) else { continue };
                heir.root = heir.root.or(Some(*goal));
                heir.goals.insert(*goal, id);
                let parent = parent.and_then(|parent| heir.goals.get(&parent).copied());
                events.extend((!is_root).then(|| RunEvent::GoalSet { goal: id, parent, text: text.clone() }));
            }
            RunEvent::GoalAchieved { goal, summary } => {
                let summary = summary.clone();
                events.extend(heir.sub_goal(*goal).map(|goal| RunEvent::GoalAchieved { goal, summary }));
            }
            RunEvent::GoalFailed { goal, reason } => {
                let reason = reason.clone();
                events.extend(heir.sub_goal(*goal).map(|goal| RunEvent::GoalFailed { goal, reason }));
            }
            event if heir.takes(event) => events.push(inherited(past)),
            _ => {}
        }
    }
    events
}

/// The event itself, where it was taken over there too.
fn own(past: &Past) -> Past {
    match &past.event {
        RunEvent::EventInherited(inherited) => Past { event: inherited.event.clone(), ..past.clone() },
        _ => past.clone(),
    }
}

fn inherited(past: &Past) -> RunEvent {
    RunEvent::EventInherited(Box::new(Inherited {
        sequence: past.sequence,
        position: past.position,
        version: past.event.event_version().to_owned(),
        event: past.event.clone(),
    }))
}

/// What decides on what is taken over.
struct Heir {
    /// The other run where it is left.
    end: Run,
    /// Its goals, and those that stand for them here.
    goals: BTreeMap<GoalId, GoalId>,
    root: Option<GoalId>,
    by_model: bool,
}

impl Heir {
    /// The goal that stands for a sub-goal; none for the root goal, whose end is the run's own.
    fn sub_goal(&self, goal: GoalId) -> Option<GoalId> {
        self.goals.get(&goal).copied().filter(|_| self.root != Some(goal))
    }

    fn takes(&self, event: &RunEvent) -> bool {
        let over = |call: &CallId| self.end.has_closed(call);
        let asked = |id| self.end.approval(id).is_some_and(|approval| over(&approval.call));
        match event {
            RunEvent::DecisionMade(made) => match &made.question {
                Question::ToolCall { call, .. } => over(call),
                Question::Command(_) => false,
            },
            RunEvent::PlannerConsulted(consultation) => match &consultation.proposal {
                Proposal::CallTool { label, .. } => self.end.results().contains_key(label),
                Proposal::CallTools { .. } | Proposal::Unusable { .. } => self.by_model,
                Proposal::Achieved { .. } | Proposal::GiveUp { .. } => false,
            },
            RunEvent::ToolCallRejected { .. } => self.by_model,
            RunEvent::ToolCallProposed { call, .. }
            | RunEvent::ApprovalRequested { call, .. }
            | RunEvent::ToolCallStarted { call, .. }
            | RunEvent::ToolCallCompleted { call, .. }
            | RunEvent::ToolCallInterrupted { call, .. }
            | RunEvent::RecordingMissing { call, .. } => over(call),
            RunEvent::ApprovalGranted { approval, .. } | RunEvent::ApprovalRefused { approval, .. } => asked(approval),
            RunEvent::RunStarted { .. }
            | RunEvent::GoalSet { .. }
            | RunEvent::GoalAchieved { .. }
            | RunEvent::GoalFailed { .. }
            | RunEvent::RunPaused { .. }
            | RunEvent::RunResumed {}
            | RunEvent::RunCancelled { .. }
            | RunEvent::RunCompleted { .. }
            | RunEvent::RunFailed { .. }
            | RunEvent::RunForked { .. }
            | RunEvent::EventInherited(_) => false,
        }
    }
}
