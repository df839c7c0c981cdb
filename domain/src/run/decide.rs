//! Which events an act brings about.

use super::{
    Act, Approval, ApprovalState, Call, CallStatus, Executor, Proposal, Propose, Run, RunEvent, RunStatus, Start,
    call_digest,
};
use crate::governed::{Command, Governed, Refusal, settle};
use crate::input::{command_inquiry, tool_inquiry};
use crate::{ApprovalId, CallId, CanonicalJson, Context, Decider, DecisionMade, Digest, Inquiry, Intent};

impl Governed for Run {
    type Act = Act;

    fn law(&self) -> Option<Digest> {
        self.fork.as_ref()?.law
    }

    fn inquiries(&self, act: &Act, intent: Option<&Intent>, context: &Context) -> Result<Vec<Inquiry>, Refusal> {
        let mut inquiries = Vec::new();
        if let Some(intent) = intent {
            inquiries.push(command_inquiry(Some(self), intent, context)?);
        }
        match act {
            Act::Propose(propose) | Act::ProposePlanned(propose) | Act::Consult(_, Some(propose))
                if self.status == RunStatus::Running =>
            {
                inquiries.push(tool_inquiry(self, &propose.as_call(), &propose.arguments, context)?);
            }
            Act::StartCall { call, arguments } if self.may_start(call).is_ok() => {
                if let Some(approved) = self.open.get(call).filter(|call| call.status == CallStatus::Approved) {
                    inquiries.push(tool_inquiry(self, approved, arguments, context)?);
                }
            }
            _ => {}
        }
        Ok(inquiries)
    }
}

impl Decider for Run {
    const TYPE: &'static str = "run";
    type Command = Command<Act>;
    type Event = RunEvent;
    type Refusal = Refusal;

    fn decide(&self, command: &Command<Act>) -> Result<Vec<RunEvent>, Refusal> {
        let inquiries = self.inquiries(&command.act, command.intent.as_ref(), &command.context)?;
        self.must_be_under_its_law(command, &inquiries)?;
        let mut decisions = settle(command, &inquiries)?;
        let tool_decision =
            if decisions.len() > usize::from(command.intent.is_some()) { decisions.pop() } else { None };
        let mut events: Vec<_> = decisions.into_iter().map(made).collect();
        events.extend(self.consequences(command, tool_decision)?);
        Ok(events)
    }

    fn evolve(&mut self, event: &RunEvent) {
        self.apply(event);
    }
}

fn made(decision: DecisionMade) -> RunEvent {
    RunEvent::DecisionMade(Box::new(decision))
}

impl Run {
    fn consequences(&self, command: &Command<Act>, decision: Option<DecisionMade>) -> Result<Vec<RunEvent>, Refusal> {
        match &command.act {
            Act::Start(start) => return self.start(start, command.intent.as_ref()),
            Act::Fork(fork) => return self.continuing(fork, command.intent.as_ref()),
            _ => {}
        }
        if !self.exists() {
            let id = command.intent.as_ref().map(|intent| intent.id.clone()).unwrap_or_default();
            return Err(Refusal::NotFound { what: "run", id });
        }
        match &command.act {
            Act::Start(_) | Act::Fork(_) => Ok(Vec::new()),
            Act::Propose(propose) => {
                self.must_not_be_planned(&propose.label)?;
                self.propose(propose, decision, &command.context)
            }
            Act::Plan(consultation, goals) => self.plan(consultation, goals),
            Act::ProposePlanned(propose) => {
                self.must_be_planned(&propose.label)?;
                self.propose(propose, decision, &command.context)
            }
            Act::RejectPlanned { label, reason } => {
                self.must_run()?;
                let tool = self.must_be_planned(label)?.tool.clone();
                Ok(vec![RunEvent::ToolCallRejected { label: label.clone(), tool, reason: reason.clone() }])
            }
            Act::Consult(consultation, propose) => {
                self.must_run()?;
                let mut events = vec![RunEvent::PlannerConsulted(consultation.clone())];
                match (&consultation.proposal, propose) {
                    (Proposal::CallTool { .. }, Some(propose)) => {
                        events.extend(self.propose(propose, decision, &command.context)?);
                    }
                    (Proposal::Achieved { summary }, _) => events.extend(self.finish(true, summary)),
                    (Proposal::GiveUp { reason }, _) => events.extend(self.finish(false, reason)),
                    (Proposal::CallTool { .. } | Proposal::CallTools { .. } | Proposal::Unusable { .. }, _) => {
                        return Err(Refusal::conflict(
                            "proposal_without_call",
                            "a proposed call came without its content",
                        ));
                    }
                }
                Ok(events)
            }
            Act::StartCall { call, arguments } => self.start_call(call, arguments, decision, &command.context),
            Act::CompleteCall { call, outcome, duration_us } => {
                self.must_be_started(call)?;
                self.must_be_answered_so(outcome)?;
                let (call, outcome, duration_us) = (*call, outcome.clone(), *duration_us);
                Ok(vec![RunEvent::ToolCallCompleted { call, outcome, duration_us }])
            }
            Act::InterruptCall { call, reason } => {
                self.must_be_started(call)?;
                Ok(vec![RunEvent::ToolCallInterrupted { call: *call, reason: reason.clone() }])
            }
            Act::MissRecording { call } => self.miss_recording(call),
            Act::Grant { approval } => {
                self.must_wait(approval, &command.context)?;
                let granted_by = actor(command);
                Ok(vec![RunEvent::ApprovalGranted { approval: *approval, granted_by }])
            }
            Act::Refuse { approval, reason } => {
                self.must_wait(approval, &command.context)?;
                let (refused_by, reason) = (actor(command), reason.clone());
                Ok(vec![RunEvent::ApprovalRefused { approval: *approval, refused_by, reason }])
            }
            Act::Pause { reason } => {
                self.must_run()?;
                Ok(vec![RunEvent::RunPaused { reason: reason.clone() }])
            }
            Act::Resume if self.status == RunStatus::Paused => Ok(vec![RunEvent::RunResumed {}]),
            Act::Resume => Err(self.wrong_status("only a paused run can be resumed")),
            Act::Cancel { reason } => {
                self.must_not_have_ended()?;
                let failed = |goal| RunEvent::GoalFailed { goal, reason: reason.clone() };
                let mut events: Vec<_> = self.open_goals().map(failed).collect();
                events.push(RunEvent::RunCancelled { reason: reason.clone() });
                Ok(events)
            }
            Act::Finish { achieved, summary } => {
                self.must_not_have_ended()?;
                if self.open.values().any(|call| call.status == CallStatus::Started) {
                    return Err(Refusal::conflict("call_under_way", "a tool call is under way: post its result first"));
                }
                Ok(self.finish(*achieved, summary))
            }
        }
    }

    pub(super) fn start(&self, start: &Start, intent: Option<&Intent>) -> Result<Vec<RunEvent>, Refusal> {
        if self.exists() {
            return Err(Refusal::conflict("run_exists", format!("the run {} has already started", self.id_text())));
        }
        let Some(intent) = intent else {
            return Err(Refusal::conflict("no_principal", "a run starts on somebody's authority"));
        };
        let started = RunEvent::RunStarted {
            run: start.run,
            agent: start.agent.clone(),
            principal: intent.principal.clone(),
            planner: start.planner.clone(),
            workspace: start.workspace.clone(),
            priority: start.priority,
        };
        Ok(vec![started, RunEvent::GoalSet { goal: start.goal, parent: None, text: start.goal_text.clone() }])
    }

    fn propose(
        &self,
        propose: &Propose,
        decision: Option<DecisionMade>,
        context: &Context,
    ) -> Result<Vec<RunEvent>, Refusal> {
        self.must_run()?;
        if self.call_status(&propose.call).is_some() {
            return Err(Refusal::conflict(
                "call_exists",
                format!("the call {} has already been proposed", propose.call),
            ));
        }
        let (Some(goal), Some(decision)) = (self.current_goal(), decision) else {
            return Err(Refusal::conflict("undecided_call", "a tool call needs a goal and a decision"));
        };
        let call = propose.as_call();
        let mut events = vec![RunEvent::ToolCallProposed {
            call: call.id,
            goal,
            label: call.label,
            tool: call.tool,
            arguments: call.arguments,
            arguments_digest: call.arguments_digest,
            resources: call.resources,
            values: call.values,
        }];
        let (allow, asks, id) = (decision.allow, decision.asks_for_approval(), decision.decision);
        let reason = decision.obligations.iter().map(|o| o.reason.as_str()).collect::<Vec<_>>().join("; ");
        events.push(made(decision));
        if asks {
            events.push(RunEvent::ApprovalRequested {
                approval: propose.approval,
                call: propose.call,
                arguments_digest: call.arguments_digest,
                reason,
                expires_at_us: context.now_us.saturating_add(propose.approval_ttl_us),
            });
        }
        let executor = propose.tool.executor;
        if allow && executor == Executor::Client && !self.only_recordings_answer() {
            events.push(RunEvent::ToolCallStarted { call: propose.call, attempt: 1, decision: id, executor });
        }
        Ok(events)
    }

    fn start_call(
        &self,
        id: &CallId,
        arguments: &CanonicalJson,
        decision: Option<DecisionMade>,
        context: &Context,
    ) -> Result<Vec<RunEvent>, Refusal> {
        let call = self.may_start(id)?;
        if call_digest(&call.tool.digest, arguments) != call.arguments_digest {
            return Err(Refusal::conflict("other_arguments", format!("the call {id} was decided on other arguments")));
        }
        let mut events = Vec::new();
        let mut allowed_by = call.decision;
        if let Some(decision) = decision {
            // An approval that lapsed allows nothing, whatever the law makes of it by now.
            let lapsed = self.lapsed(call, context).filter(|_| decision.allow);
            allowed_by = (decision.allow && lapsed.is_none()).then_some(decision.decision);
            events.push(made(decision));
            events.extend(lapsed);
        }
        if let Some(decision) = allowed_by {
            let (attempt, executor) = (call.attempts + 1, call.tool.executor);
            events.push(RunEvent::ToolCallStarted { call: *id, attempt, decision, executor });
        }
        Ok(events)
    }

    /// The end of a call whose approval has lapsed.
    fn lapsed(&self, call: &Call, context: &Context) -> Option<RunEvent> {
        let approval = call.approval?;
        let expires_at_us = self.approvals.get(&approval)?.expires_at_us;
        let (refused_by, reason) =
            ("system:expiry".to_owned(), "the approval lapsed before the call started".to_owned());
        (expires_at_us <= context.now_us).then_some(RunEvent::ApprovalRefused { approval, refused_by, reason })
    }

    pub(super) fn may_start(&self, id: &CallId) -> Result<&Call, Refusal> {
        self.must_run()?;
        let call = self.open.get(id).ok_or_else(|| self.used_up(id).unwrap_or_else(|| self.no_open_call(id)))?;
        let repeatable =
            self.only_recordings_answer() || (call.tool.idempotent && call.tool.executor != Executor::Client);
        let again = call.status == CallStatus::Started && repeatable;
        if again || matches!(call.status, CallStatus::Allowed | CallStatus::Approved) {
            return Ok(call);
        }
        Err(self.used_up(id).unwrap_or_else(|| {
            Refusal::conflict("call_not_startable", format!("the call {id} is {:?} and cannot be started", call.status))
        }))
    }

    /// An approval is good for one start.
    fn used_up(&self, call: &CallId) -> Option<Refusal> {
        let used = |approval: &Approval| approval.call == *call && approval.state == ApprovalState::Used;
        let (id, _) = self.approvals.iter().find(|(_, approval)| used(approval))?;
        Some(Refusal::conflict("approval_used", format!("the approval {id} was used when the call {call} started")))
    }

    fn must_be_started(&self, id: &CallId) -> Result<(), Refusal> {
        match self.open.get(id).map(|call| call.status) {
            Some(CallStatus::Started) => Ok(()),
            Some(status) => {
                Err(Refusal::conflict("call_not_started", format!("the call {id} is {status:?}, not started")))
            }
            None => Err(self.no_open_call(id)),
        }
    }

    fn no_open_call(&self, id: &CallId) -> Refusal {
        match self.closed.get(id) {
            Some(status) => Refusal::conflict("call_closed", format!("the call {id} has already ended as {status:?}")),
            None => Refusal::NotFound { what: "tool call", id: id.to_string() },
        }
    }

    fn must_wait(&self, id: &ApprovalId, context: &Context) -> Result<(), Refusal> {
        self.must_not_have_ended()?;
        let approval =
            self.approvals.get(id).ok_or_else(|| Refusal::NotFound { what: "approval", id: id.to_string() })?;
        if approval.state != ApprovalState::Waiting {
            return Err(Refusal::conflict("approval_answered", format!("the approval {id} has already been answered")));
        }
        if approval.expires_at_us <= context.now_us {
            return Err(Refusal::conflict("approval_expired", format!("the approval {id} has lapsed")));
        }
        Ok(())
    }

    fn must_run(&self) -> Result<(), Refusal> {
        if self.status == RunStatus::Running { Ok(()) } else { Err(self.wrong_status("it must be running")) }
    }

    pub(super) fn must_not_have_ended(&self) -> Result<(), Refusal> {
        if self.status.has_ended() { Err(self.wrong_status("it has ended")) } else { Ok(()) }
    }

    fn wrong_status(&self, wanted: &str) -> Refusal {
        Refusal::conflict("run_status", format!("the run {} is {}: {wanted}", self.id_text(), self.status.as_str()))
    }

    pub(super) fn finish(&self, achieved: bool, summary: &str) -> Vec<RunEvent> {
        let text = summary.to_owned();
        let goals = self.open_goals().map(|goal| match achieved {
            true => RunEvent::GoalAchieved { goal, summary: text.clone() },
            false => RunEvent::GoalFailed { goal, reason: text.clone() },
        });
        let mut events: Vec<_> = goals.collect();
        events.push(match achieved {
            true => RunEvent::RunCompleted { summary: text },
            false => RunEvent::RunFailed { reason: text },
        });
        events
    }
}

impl Propose {
    fn as_call(&self) -> Call {
        Call {
            id: self.call,
            label: self.label.clone(),
            tool: self.tool.clone(),
            arguments: self.content(),
            arguments_digest: call_digest(&self.tool.digest, &self.arguments),
            resources: self.resources.clone(),
            values: self.values.clone(),
            proposed_by: String::new(),
            status: CallStatus::Proposed,
            approval: None,
            decision: None,
            attempts: 0,
        }
    }
}

fn actor(command: &Command<Act>) -> String {
    command.intent.as_ref().map(|intent| intent.principal.id.clone()).unwrap_or_default()
}
