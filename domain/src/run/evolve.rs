//! How each event changes a run.

use super::{
    Approval, ApprovalState, Call, CallStatus, Consultation, Fate, Forked, Goal, GoalStatus, PlannerSpec, Proposal,
    Run, RunEvent, RunStatus, StepResult,
};
use crate::{CallId, Content, DecisionMade, DenyCode, GoalId, Question, Reason};

impl Run {
    pub(super) fn apply(&mut self, event: &RunEvent) {
        match event {
            RunEvent::DecisionMade(decision) => self.decided(decision),
            RunEvent::RunStarted { run, agent, principal, planner, workspace, priority } => {
                self.id = Some(*run);
                self.agent.clone_from(agent);
                self.principal = Some(principal.clone());
                self.planner = Some(planner.clone());
                self.workspace.clone_from(workspace);
                self.priority = *priority;
                self.status = RunStatus::Running;
            }
            RunEvent::GoalSet { goal, parent, text } => {
                self.goals.push(Goal { id: *goal, parent: *parent, text: text.clone(), status: GoalStatus::Open });
                self.memory.was_of_use();
            }
            RunEvent::PlannerConsulted(consultation) => self.consulted(consultation),
            RunEvent::ToolCallRejected { label, reason, .. } => {
                self.planned.retain(|planned| planned.label != *label);
                self.memory.ended(label, Fate::Rejected(reason.clone()));
            }
            RunEvent::ToolCallProposed {
                call, label, tool, arguments, arguments_digest, resources, values, ..
            } => {
                let planned = self.planned.iter().position(|planned| planned.label == *label);
                if let Some(place) = planned {
                    self.planned.remove(place);
                    self.memory.was_of_use();
                }
                let proposed_by = if planned.is_some() { String::new() } else { self.commanded_by.clone() };
                let proposed = Call {
                    id: *call,
                    label: label.clone(),
                    tool: tool.clone(),
                    arguments: arguments.clone(),
                    arguments_digest: *arguments_digest,
                    resources: resources.clone(),
                    values: values.clone(),
                    proposed_by,
                    status: CallStatus::Proposed,
                    approval: None,
                    decision: None,
                    attempts: 0,
                };
                self.open.insert_mut(*call, proposed);
            }
            RunEvent::ApprovalRequested { approval, call, arguments_digest, reason, expires_at_us } => {
                let asked = Approval {
                    call: *call,
                    arguments_digest: *arguments_digest,
                    reason: reason.clone(),
                    expires_at_us: *expires_at_us,
                    state: ApprovalState::Waiting,
                };
                self.approvals.insert_mut(*approval, asked);
                if let Some(open) = self.open.get_mut(call) {
                    open.approval = Some(*approval);
                }
            }
            RunEvent::ApprovalGranted { approval, granted_by } => {
                if let Some(asked) = self.approvals.get_mut(approval) {
                    asked.state = ApprovalState::Granted(granted_by.clone());
                    if let Some(open) = self.open.get_mut(&asked.call) {
                        open.status = CallStatus::Approved;
                    }
                }
            }
            RunEvent::ApprovalRefused { approval, refused_by, reason } => {
                if let Some(asked) = self.approvals.get_mut(approval) {
                    asked.state = ApprovalState::Refused(refused_by.clone());
                    let call = asked.call;
                    let why = Reason {
                        code: DenyCode::ApprovalRefused.as_str().to_owned(),
                        rule: String::new(),
                        message: format!("{refused_by}: {reason}"),
                    };
                    self.close(&call, CallStatus::Refused, None, vec![why]);
                }
            }
            RunEvent::ToolCallStarted { call, attempt, .. } => {
                if let Some(open) = self.open.get_mut(call) {
                    open.status = CallStatus::Started;
                    open.attempts = *attempt;
                    if *attempt == 1 {
                        self.spent.pay(&open.values);
                        self.trust.started(open);
                    }
                    if let Some(used) = open.approval.and_then(|id| self.approvals.get_mut(&id)) {
                        used.state = ApprovalState::Used;
                    }
                }
            }
            RunEvent::ToolCallCompleted { call, outcome, .. } => {
                let from = self.fork.as_ref().map(|fork| fork.from);
                if let Some(recording) = outcome.recording.filter(|recording| Some(recording.run) == from) {
                    self.answered(event, recording.sequence);
                }
                let reads_untrusted = self.open.get(call).is_some_and(|open| open.tool.reads_untrusted);
                self.tainted |= outcome.succeeded && reads_untrusted;
                self.spent.carry(outcome.output.size);
                if let Some(open) = self.open.get(call).filter(|_| outcome.succeeded) {
                    self.trust.completed(open, &outcome.output);
                }
                let status = if outcome.succeeded { CallStatus::Succeeded } else { CallStatus::Failed };
                self.close(call, status, Some(outcome.output.clone()), Vec::new());
            }
            RunEvent::ToolCallInterrupted { call, .. } => {
                self.close(call, CallStatus::Interrupted, None, Vec::new());
            }
            RunEvent::GoalAchieved { goal, .. } => self.goal_is(goal, GoalStatus::Achieved),
            RunEvent::GoalFailed { goal, .. } => self.goal_is(goal, GoalStatus::Failed),
            RunEvent::RunPaused { .. } => self.status = RunStatus::Paused,
            RunEvent::RunResumed {} => self.status = RunStatus::Running,
            RunEvent::RunCancelled { reason } => self.end(RunStatus::Cancelled, reason),
            RunEvent::RunCompleted { summary } => self.end(RunStatus::Completed, summary),
            RunEvent::RunFailed { reason } => self.end(RunStatus::Failed, reason),
            RunEvent::RunForked { from, at_sequence, law, live, .. } => {
                self.fork = Some(Forked::new(*from, *at_sequence, *law, *live));
            }
            RunEvent::EventInherited(inherited) => {
                self.answered(&inherited.event, inherited.sequence);
                self.apply(&inherited.event);
            }
            RunEvent::RecordingMissing { call, .. } => {
                let why = self.missing(event);
                self.close(call, CallStatus::Refused, None, why);
            }
        }
    }

    /// What a model answered is remembered; a plan's step stands in its result.
    fn consulted(&mut self, consultation: &Consultation) {
        self.steps = consultation.step;
        self.spent.owe(consultation.tokens);
        self.commanded_by.clear();
        if consultation.exchange.is_none() {
            return;
        }
        // It is recorded before anything is decided on what it proposes, so that no decision owes it.
        self.spent.settle();
        self.memory.consulted(consultation);
        match &consultation.proposal {
            Proposal::CallTools { calls } => self.planned.clone_from(calls),
            Proposal::Achieved { summary } => self.concluded = Some((true, summary.clone())),
            Proposal::GiveUp { reason } => self.concluded = Some((false, reason.clone())),
            Proposal::CallTool { .. } | Proposal::Unusable { .. } => {}
        }
    }

    /// A command's own decision says who meant what follows; decisions on tool calls change the calls.
    fn decided(&mut self, decision: &DecisionMade) {
        self.started_us = self.started_us.or(Some(decision.context.now_us));
        let call = match &decision.question {
            Question::ToolCall { call, .. } => call,
            Question::Command(intent) => return self.commanded_by.clone_from(&intent.principal.id),
        };
        let Some(open) = self.open.get_mut(call) else { return };
        let first = open.status == CallStatus::Proposed;
        open.decision = Some(decision.decision);
        let waits = first && decision.asks_for_approval();
        let denied = !(decision.allow || waits);
        open.status = match (decision.allow, denied) {
            (true, _) => CallStatus::Allowed,
            (false, true) => CallStatus::Denied,
            (false, false) => CallStatus::AwaitingApproval,
        };
        if first {
            // Not before: the input of this decision was built on the state before the call was proposed.
            self.spent.carry(open.arguments.size);
            self.spent.settle();
            self.tally.total += 1;
            *self.tally.by_tool.entry(open.tool.name.clone()).or_default() += 1;
        }
        if denied {
            self.tally.denied += 1;
            self.close(call, CallStatus::Denied, None, decision.deny.clone());
        }
    }

    fn close(&mut self, call: &CallId, status: CallStatus, output: Option<Content>, reasons: Vec<Reason>) {
        if let Some(open) = self.open.get(call).cloned() {
            self.open.remove_mut(call);
            self.closed.insert_mut(*call, status);
            let result = StepResult { status, output, reasons };
            match &self.planner {
                Some(PlannerSpec::Scripted(_)) => {
                    self.results.insert_mut(open.label, result);
                }
                Some(PlannerSpec::Chat(_) | PlannerSpec::Recorded(_)) => {
                    self.memory.ended(&open.label, Fate::Ended(result));
                }
                Some(PlannerSpec::Client) | None => {}
            }
        }
    }

    fn goal_is(&mut self, id: &GoalId, status: GoalStatus) {
        if let Some(goal) = self.goals.iter_mut().find(|goal| goal.id == *id) {
            goal.status = status;
        }
    }

    fn end(&mut self, status: RunStatus, summary: &str) {
        self.status = status;
        summary.clone_into(&mut self.summary);
    }
}
