//! What may be asked of a run.

use super::{
    ArgumentUse, Consultation, GoalChange, PlannerSpec, Priority, Resources, RunEvent, ToolFacts, ToolOutcome,
};
use crate::{ApprovalId, CallId, CanonicalJson, Content, Digest, GoalId, RunId};

/// Begin a run.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its id.
    pub run: RunId,
    /// The agent.
    pub agent: String,
    /// Id of the root goal.
    pub goal: GoalId,
    /// The root goal.
    pub goal_text: String,
    /// Who plans.
    pub planner: PlannerSpec,
    /// The folder tools are confined to.
    pub workspace: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
}

/// Continue another run.
#[derive(Clone, Debug)]
pub struct Fork {
    /// The run that continues it.
    pub start: Start,
    /// The other run.
    pub from: RunId,
    /// Its events up to where it is left, in order from the first; there is at least one.
    pub history: Vec<Past>,
    /// Ids for its sub-goals, as many as it has set.
    pub goals: Vec<GoalId>,
    /// The bundle tool calls are decided by; none for the one in force.
    pub law: Option<Digest>,
    /// Whether calls without a recording are made.
    pub live: bool,
}

/// An event of a run, with its place.
#[derive(Clone, Debug)]
pub struct Past {
    /// Its sequence.
    pub sequence: u64,
    /// Its position.
    pub position: u64,
    /// What it says.
    pub event: RunEvent,
}

/// Propose a tool call.
#[derive(Clone, Debug)]
pub struct Propose {
    /// Its id.
    pub call: CallId,
    /// The id an approval would have.
    pub approval: ApprovalId,
    /// How long an approval would be valid, in microseconds.
    pub approval_ttl_us: i64,
    /// The step's name.
    pub label: String,
    /// The tool.
    pub tool: ToolFacts,
    /// Canonical arguments.
    pub arguments: CanonicalJson,
    /// What it would touch.
    pub resources: Resources,
    /// Values among its arguments that somebody must vouch for.
    pub values: Vec<ArgumentUse>,
}

/// A command to a run.
#[derive(Clone, Debug)]
pub enum Act {
    /// Begin.
    Start(Start),
    /// Begin as the continuation of another run.
    Fork(Box<Fork>),
    /// Record what the planner said and, where it proposed a call, propose that.
    Consult(Consultation, Option<Box<Propose>>),
    /// Record what a chat model answered, and what it did to the run's goals.
    Plan(Consultation, Vec<GoalChange>),
    /// Propose the next call the planner has asked for.
    ProposePlanned(Box<Propose>),
    /// Record that the next call the planner has asked for is not fit to be proposed.
    RejectPlanned {
        /// The step's name.
        label: String,
        /// What is wrong.
        reason: String,
    },
    /// Propose a call, from outside.
    Propose(Box<Propose>),
    /// Begin an attempt.
    StartCall {
        /// The call.
        call: CallId,
        /// Its arguments, needed where it is decided again.
        arguments: CanonicalJson,
    },
    /// Record an attempt's end.
    CompleteCall {
        /// The call.
        call: CallId,
        /// How it ended.
        outcome: ToolOutcome,
        /// How long it took, in microseconds.
        duration_us: u64,
    },
    /// Record that an attempt's outcome is unknown.
    InterruptCall {
        /// The call.
        call: CallId,
        /// What is known.
        reason: String,
    },
    /// Record that a call is not made for want of a recording.
    MissRecording {
        /// The call.
        call: CallId,
    },
    /// Approve a call.
    Grant {
        /// The approval.
        approval: ApprovalId,
    },
    /// Refuse to approve a call.
    Refuse {
        /// The approval.
        approval: ApprovalId,
        /// Why.
        reason: String,
    },
    /// Start no further tool.
    Pause {
        /// Why.
        reason: String,
    },
    /// Go on.
    Resume,
    /// End it.
    Cancel {
        /// Why.
        reason: String,
    },
    /// End it with its root goal reached or not.
    Finish {
        /// Whether the goal was reached.
        achieved: bool,
        /// How, or why not.
        summary: String,
    },
}

impl Propose {
    /// The arguments as the event holds them.
    pub(super) fn content(&self) -> Content {
        Content::json(self.arguments.clone()).0
    }
}
