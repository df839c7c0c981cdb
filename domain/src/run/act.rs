//! What may be asked of a run.

use serde::{Deserialize, Serialize};

use super::{ArgumentUse, PlannerSpec, Resources, ToolFacts, ToolOutcome};
use crate::{ApprovalId, CallId, CanonicalJson, Content, Digest, GoalId, RunId};

/// What the planner proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proposal {
    /// Call a tool.
    CallTool {
        /// The step's name.
        label: String,
        /// The tool.
        tool: String,
    },
    /// Stop: the goal is reached.
    Achieved {
        /// How.
        summary: String,
    },
    /// Stop: it is not.
    GiveUp {
        /// Why.
        reason: String,
    },
}

/// One consultation of the planner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consultation {
    /// From 1.
    pub step: u32,
    /// Which planner.
    pub planner: String,
    /// Digest of what it was shown.
    pub perceived: Digest,
    /// What it proposed.
    pub proposal: Proposal,
    /// Tokens the consultation cost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u64,
}

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
    /// Record what the planner said and, where it proposed a call, propose that.
    Consult(Consultation, Option<Box<Propose>>),
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

impl Propose {
    /// The arguments as the event holds them.
    pub(super) fn content(&self) -> Content {
        Content::json(self.arguments.clone()).0
    }
}
