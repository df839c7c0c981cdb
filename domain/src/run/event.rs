//! What may happen to a run.

use serde::{Deserialize, Serialize};

use super::{ArgumentUse, Consultation, Executor, PlannerSpec, Priority, Resources, ToolFacts, ToolOutcome};
use crate::{ApprovalId, CallId, Content, DecisionId, DecisionMade, Digest, Event, GoalId, Part, Principal, RunId};

/// A fact about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunEvent {
    /// The law answered.
    DecisionMade(Box<DecisionMade>),
    /// The run began.
    RunStarted {
        /// The run.
        run: RunId,
        /// The agent's name.
        agent: String,
        /// On whose authority it acts.
        principal: Principal,
        /// Who plans.
        planner: PlannerSpec,
        /// The folder its tools are confined to; none for runs whose client executes.
        workspace: Option<String>,
        /// How urgent it is.
        #[serde(default, skip_serializing_if = "Priority::is_normal")]
        priority: Priority,
    },
    /// A goal was set.
    GoalSet {
        /// The goal.
        goal: GoalId,
        /// The goal it serves; none for the root goal.
        parent: Option<GoalId>,
        /// What is wanted.
        text: String,
    },
    /// The planner was asked for the next step.
    PlannerConsulted(Consultation),
    /// A tool call was proposed.
    ToolCallProposed {
        /// The call.
        call: CallId,
        /// The goal it serves.
        goal: GoalId,
        /// The step's name, by which results are found.
        label: String,
        /// The tool as it was registered.
        tool: ToolFacts,
        /// Canonical arguments.
        arguments: Content,
        /// Digest of tool and arguments; approvals bind to it.
        arguments_digest: Digest,
        /// Paths, URLs and code among the arguments, normalised.
        resources: Resources,
        /// Values among the arguments that somebody must vouch for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        values: Vec<ArgumentUse>,
    },
    /// A call the planner asked for is not fit to be proposed.
    ToolCallRejected {
        /// The step's name.
        label: String,
        /// The tool, as the planner named it.
        tool: String,
        /// What is wrong, as the planner is told.
        reason: String,
    },
    /// A call waits for a person.
    ApprovalRequested {
        /// The approval.
        approval: ApprovalId,
        /// The call.
        call: CallId,
        /// Digest of tool and arguments.
        arguments_digest: Digest,
        /// Why it is needed.
        reason: String,
        /// When it lapses, in microseconds since 1970.
        expires_at_us: i64,
    },
    /// A person said yes.
    ApprovalGranted {
        /// The approval.
        approval: ApprovalId,
        /// Who.
        granted_by: String,
    },
    /// A person said no.
    ApprovalRefused {
        /// The approval.
        approval: ApprovalId,
        /// Who.
        refused_by: String,
        /// Why.
        reason: String,
    },
    /// An attempt began. What follows is its outcome, or unknown.
    ToolCallStarted {
        /// The call.
        call: CallId,
        /// From 1.
        attempt: u32,
        /// The decision that allows it.
        decision: DecisionId,
        /// Who executes.
        executor: Executor,
    },
    /// An attempt ended.
    ToolCallCompleted {
        /// The call.
        call: CallId,
        /// How.
        outcome: ToolOutcome,
        /// How long it took, in microseconds.
        duration_us: u64,
    },
    /// An attempt's outcome is unknown, and it must not be made again.
    ToolCallInterrupted {
        /// The call.
        call: CallId,
        /// What is known.
        reason: String,
    },
    /// A goal was reached.
    GoalAchieved {
        /// The goal.
        goal: GoalId,
        /// How.
        summary: String,
    },
    /// A goal was given up.
    GoalFailed {
        /// The goal.
        goal: GoalId,
        /// Why.
        reason: String,
    },
    /// No further tool starts until the run is resumed.
    RunPaused {
        /// Why.
        reason: String,
    },
    /// It goes on.
    RunResumed {},
    /// It was ended by a person.
    RunCancelled {
        /// Why.
        reason: String,
    },
    /// It ended with its goal reached.
    RunCompleted {
        /// In a sentence.
        summary: String,
    },
    /// It ended without.
    RunFailed {
        /// Why.
        reason: String,
    },
    /// It continues another run.
    RunForked {
        /// The other run.
        from: RunId,
        /// The sequence of the last of its events that this one continues.
        at_sequence: u64,
        /// The position of that event.
        at_position: u64,
        /// The bundle its tool calls are decided by; none where it is the one in force.
        law: Option<Digest>,
        /// Whether calls without a recording are made.
        live: bool,
    },
    /// An event of the run it continues is taken over.
    EventInherited(Box<Inherited>),
    /// A call may be made, but recordings answer here, and there is none of it. It has not been made.
    RecordingMissing {
        /// The call.
        call: CallId,
        /// The run that has no recording of it.
        from: RunId,
        /// The tool.
        tool: String,
        /// Digest of its registration.
        tool_digest: Digest,
        /// Digest of tool and arguments.
        arguments_digest: Digest,
    },
}

/// An event of another run, as it was recorded there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    /// Its sequence there.
    pub sequence: u64,
    /// Its position in the ledger.
    pub position: u64,
    /// The version of its shape, as it stands here.
    pub version: String,
    /// What it says.
    pub event: RunEvent,
}

impl RunEvent {
    /// The event that was taken over, where it is one.
    #[must_use]
    pub fn itself(self) -> Self {
        match self {
            Self::EventInherited(inherited) => inherited.event,
            other => other,
        }
    }
}

impl Event for RunEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => "DecisionMade",
            Self::RunStarted { .. } => "RunStarted",
            Self::GoalSet { .. } => "GoalSet",
            Self::PlannerConsulted(_) => "PlannerConsulted",
            Self::ToolCallProposed { .. } => "ToolCallProposed",
            Self::ToolCallRejected { .. } => "ToolCallRejected",
            Self::ApprovalRequested { .. } => "ApprovalRequested",
            Self::ApprovalGranted { .. } => "ApprovalGranted",
            Self::ApprovalRefused { .. } => "ApprovalRefused",
            Self::ToolCallStarted { .. } => "ToolCallStarted",
            Self::ToolCallCompleted { .. } => "ToolCallCompleted",
            Self::ToolCallInterrupted { .. } => "ToolCallInterrupted",
            Self::GoalAchieved { .. } => "GoalAchieved",
            Self::GoalFailed { .. } => "GoalFailed",
            Self::RunPaused { .. } => "RunPaused",
            Self::RunResumed {} => "RunResumed",
            Self::RunCancelled { .. } => "RunCancelled",
            Self::RunCompleted { .. } => "RunCompleted",
            Self::RunFailed { .. } => "RunFailed",
            Self::RunForked { .. } => "RunForked",
            Self::EventInherited(_) => "EventInherited",
            Self::RecordingMissing { .. } => "RecordingMissing",
        }
    }

    fn event_version(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => DecisionMade::VERSION,
            Self::PlannerConsulted(consultation) => consultation.version(),
            Self::RunStarted { priority: Priority::High | Priority::Low, .. } => "3",
            Self::RunStarted { planner: PlannerSpec::Chat(_) | PlannerSpec::Recorded(_), .. } => "2",
            Self::ToolCallCompleted { outcome, .. } if outcome.recording.is_some() => "2",
            _ => "1",
        }
    }
}

impl Part<DecisionMade> for RunEvent {
    fn part(&self) -> Option<&DecisionMade> {
        match self {
            Self::DecisionMade(decision) => Some(decision),
            _ => None,
        }
    }
}
