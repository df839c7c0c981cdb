//! Runs that continue other runs: how they begin, what answers their calls, and what is refused for want of an answer.

use std::collections::BTreeMap;

use rpds::RedBlackTreeMapSync;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Act, Call, Executor, Fork, Run, RunEvent, ToolOutcome, inherit};
use crate::governed::{Command, Governed, Refusal};
use crate::{CallId, DenyCode, Digest, Inquiry, Intent, Question, Reason, RulingError, RunId};

/// What a run has of the one it continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forked {
    /// The other run.
    pub from: RunId,
    /// The sequence of the last of its events that this one continues.
    pub at_sequence: u64,
    /// The bundle tool calls are decided by; none for the one in force.
    pub law: Option<Digest>,
    /// Whether calls without a recording are made.
    pub live: bool,
    /// The last recording that answered, by digest of tool and arguments.
    #[schemars(with = "BTreeMap<String, u64>")]
    answered: RedBlackTreeMapSync<Digest, u64>,
}

impl Forked {
    pub(super) fn new(from: RunId, at_sequence: u64, law: Option<Digest>, live: bool) -> Self {
        Self { from, at_sequence, law, live, answered: RedBlackTreeMapSync::default() }
    }

    /// The sequence, in the other run, of the last recording that answered such a call; 0 where none has.
    pub fn answered(&self, arguments_digest: &Digest) -> u64 {
        self.answered.get(arguments_digest).copied().unwrap_or_default()
    }
}

impl Run {
    /// The run it continues, if it does.
    pub fn fork(&self) -> Option<&Forked> {
        self.fork.as_ref()
    }

    /// Whether nothing but recordings answers its calls, so that it touches nothing.
    pub fn only_recordings_answer(&self) -> bool {
        self.fork.as_ref().is_some_and(|fork| !fork.live)
    }

    /// Whether a worker brings the call to its end. Where recordings answer, that is every call.
    pub fn is_for_workers(&self, call: &Call) -> bool {
        call.tool.executor != Executor::Client || self.only_recordings_answer()
    }

    pub(super) fn continuing(&self, fork: &Fork, intent: Option<&Intent>) -> Result<Vec<RunEvent>, Refusal> {
        if fork.live && fork.law.is_some() {
            let message = "only the law in force decides on what is done: a fork under another one is not live";
            return Err(Refusal::conflict("live_under_another_law", message));
        }
        let Some(left) = fork.history.last() else {
            return Err(Refusal::conflict("nothing_to_continue", "a fork continues at least one event"));
        };
        let forked = RunEvent::RunForked {
            from: fork.from,
            at_sequence: left.sequence,
            at_position: left.position,
            law: fork.law,
            live: fork.live,
        };
        let mut events = vec![forked];
        events.extend(self.start(&fork.start, intent)?);
        let by_model = fork.start.planner.chat().is_some();
        events.extend(inherit(&fork.history, fork.start.goal, &fork.goals, by_model));
        Ok(events)
    }

    /// Refuses decisions on tool calls by another bundle than the one the run is under.
    pub(super) fn must_be_under_its_law(&self, command: &Command<Act>, inquiries: &[Inquiry]) -> Result<(), Refusal> {
        let Some(expected) = self.law() else { return Ok(()) };
        let of_calls = command.rulings.iter().zip(inquiries);
        let mut of_calls = of_calls.filter(|(_, inquiry)| matches!(inquiry.question, Question::ToolCall { .. }));
        match of_calls.find(|(ruling, _)| ruling.evaluation.bundle != expected) {
            Some((ruling, _)) => Err(RulingError::OtherBundle { expected, given: ruling.evaluation.bundle }.into()),
            None => Ok(()),
        }
    }

    /// Refuses an outcome from where none may come: from a recording in a run of its own, from a tool where recordings answer.
    pub(super) fn must_be_answered_so(&self, outcome: &ToolOutcome) -> Result<(), Refusal> {
        match (&self.fork, &outcome.recording) {
            (Some(fork), None) if !fork.live => {
                Err(Refusal::conflict("answered_by_recordings", "recordings answer the calls of this run, and no tool"))
            }
            (None, Some(_)) => Err(Refusal::conflict("not_a_fork", "no recording answers the calls of this run")),
            _ => Ok(()),
        }
    }

    pub(super) fn miss_recording(&self, id: &CallId) -> Result<Vec<RunEvent>, Refusal> {
        let call = self.may_start(id)?;
        let Some(fork) = self.fork.as_ref().filter(|fork| !fork.live) else {
            return Err(Refusal::conflict("not_a_fork", "this run does not depend on recordings"));
        };
        Ok(vec![RunEvent::RecordingMissing {
            call: call.id,
            from: fork.from,
            tool: call.tool.name.clone(),
            tool_digest: call.tool.digest,
            arguments_digest: call.arguments_digest,
        }])
    }

    /// Remembers which recording a call's end came from.
    pub(super) fn answered(&mut self, event: &RunEvent, sequence: u64) {
        let RunEvent::ToolCallCompleted { call, .. } = event else { return };
        let digest = self.open.get(call).map(|call| call.arguments_digest);
        if let (Some(fork), Some(digest)) = (&mut self.fork, digest) {
            fork.answered.insert_mut(digest, sequence);
        }
    }

    /// Why a call was not made, as its planner is told.
    pub(super) fn missing(&self, event: &RunEvent) -> Vec<Reason> {
        let RunEvent::RecordingMissing { from, tool, tool_digest, arguments_digest, .. } = event else {
            return Vec::new();
        };
        let message =
            format!("{from} has no recording of `{tool}` ({tool_digest}) with these arguments ({arguments_digest})");
        vec![Reason { code: DenyCode::RecordingMissing.as_str().to_owned(), rule: String::new(), message }]
    }

    /// Whether the call has ended, however.
    pub(super) fn has_closed(&self, call: &CallId) -> bool {
        self.closed.contains_key(call)
    }
}
