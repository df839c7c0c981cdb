//! The state of a run, folded from its events.

use std::collections::BTreeMap;

use rpds::RedBlackTreeMapSync;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Approval, Call, CallStatus, Forked, Memory, PlannedCall, PlannerSpec, Priority, Spent, Trust};
use crate::{ApprovalId, CallId, Content, GoalId, Principal, Reason, RunId};

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// There are no events yet.
    #[default]
    NotStarted,
    /// It goes on.
    Running,
    /// It starts no further tool.
    Paused,
    /// It reached its goal.
    Completed,
    /// It did not.
    Failed,
    /// A person ended it.
    Cancelled,
}

impl RunStatus {
    /// As it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more can happen.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Where a goal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GoalStatus {
    /// Pursued.
    Open,
    /// Reached.
    Achieved,
    /// Given up.
    Failed,
}

/// A goal of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Goal {
    /// Its id.
    pub id: GoalId,
    /// The goal it serves.
    pub parent: Option<GoalId>,
    /// What is wanted.
    pub text: String,
    /// Where it stands.
    pub status: GoalStatus,
}

/// Counts over a run's decided tool calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// All.
    pub total: u32,
    /// Denied ones.
    pub denied: u32,
    /// By tool.
    pub by_tool: BTreeMap<String, u32>,
}

/// What became of a named step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    /// How the call ended.
    pub status: CallStatus,
    /// What the tool gave back.
    pub output: Option<Content>,
    /// Why it was denied.
    pub reasons: Vec<Reason>,
}

/// A run. What grows with it is kept in persistent maps: a copy costs the same for a run of ten events and of ten
/// thousand, and every command is decided on a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    pub(super) id: Option<RunId>,
    pub(super) agent: String,
    pub(super) principal: Option<Principal>,
    pub(super) planner: Option<PlannerSpec>,
    pub(super) workspace: Option<String>,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub(super) priority: Priority,
    pub(super) status: RunStatus,
    pub(super) goals: Vec<Goal>,
    #[schemars(with = "BTreeMap<CallId, Call>")]
    pub(super) open: RedBlackTreeMapSync<CallId, Call>,
    #[schemars(with = "BTreeMap<CallId, CallStatus>")]
    pub(super) closed: RedBlackTreeMapSync<CallId, CallStatus>,
    #[schemars(with = "BTreeMap<ApprovalId, Approval>")]
    pub(super) approvals: RedBlackTreeMapSync<ApprovalId, Approval>,
    pub(super) tally: Tally,
    pub(super) tainted: bool,
    /// What taints the run, and what vouches for values.
    #[serde(default)]
    pub(super) trust: Trust,
    #[serde(default)]
    pub(super) spent: Spent,
    #[serde(default)]
    pub(super) started_us: Option<i64>,
    /// Who meant the command whose events are being applied.
    #[serde(default)]
    pub(super) commanded_by: String,
    pub(super) steps: u32,
    #[schemars(with = "BTreeMap<String, StepResult>")]
    pub(super) results: RedBlackTreeMapSync<String, StepResult>,
    pub(super) summary: String,
    /// What a model that plans remembers.
    #[serde(default)]
    pub(super) memory: Memory,
    /// Calls it asked for that are not proposed yet.
    #[serde(default)]
    pub(super) planned: Vec<PlannedCall>,
    /// Its last word, whether the goal was reached, taken while the run was paused.
    #[serde(default)]
    pub(super) concluded: Option<(bool, String)>,
    /// The run it continues, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fork: Option<Forked>,
}

impl Run {
    /// Whether the run has started.
    pub fn exists(&self) -> bool {
        self.id.is_some()
    }

    /// Its id, or an empty text before it started.
    pub fn id_text(&self) -> String {
        self.id.map(|id| id.to_string()).unwrap_or_default()
    }

    /// The agent's name.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// On whose authority it acts.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// That principal's id.
    pub fn principal_id(&self) -> &str {
        self.principal.as_ref().map_or("", |p| &p.id)
    }

    /// Who plans.
    pub fn planner(&self) -> Option<&PlannerSpec> {
        self.planner.as_ref()
    }

    /// The folder tools are confined to.
    pub fn workspace(&self) -> Option<&str> {
        self.workspace.as_deref()
    }

    /// How urgent it is.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Where it stands.
    pub fn status(&self) -> RunStatus {
        self.status
    }

    /// How it ended, in a sentence.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// All goals, the root goal first.
    pub fn goals(&self) -> &[Goal] {
        &self.goals
    }

    /// The root goal's text.
    pub fn goal_text(&self) -> &str {
        self.goals.first().map_or("", |goal| &goal.text)
    }

    /// An open call.
    pub fn call(&self, id: &CallId) -> Option<&Call> {
        self.open.get(id)
    }

    /// Calls that have not ended.
    pub fn open_calls(&self) -> impl Iterator<Item = &Call> {
        self.open.values()
    }

    /// Where any call stands.
    pub fn call_status(&self, id: &CallId) -> Option<CallStatus> {
        self.open.get(id).map(|call| call.status).or_else(|| self.closed.get(id).copied())
    }

    /// An approval.
    pub fn approval(&self, id: &ApprovalId) -> Option<&Approval> {
        self.approvals.get(id)
    }

    /// All approvals.
    pub fn approvals(&self) -> impl Iterator<Item = (&ApprovalId, &Approval)> {
        self.approvals.iter()
    }

    /// Counts over decided calls.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether content nobody vouches for was read.
    pub fn tainted(&self) -> bool {
        self.tainted
    }

    /// Where values come from.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// What it has used up.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// When it was first decided on, in microseconds since 1970.
    pub fn started_us(&self) -> Option<i64> {
        self.started_us
    }

    /// How often the planner was consulted.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// What became of named steps.
    pub fn results(&self) -> &RedBlackTreeMapSync<String, StepResult> {
        &self.results
    }

    /// What a model that plans remembers.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The planner's last word, whether the goal was reached and why, where the run has not ended with it.
    pub fn concluded(&self) -> Option<(bool, &str)> {
        self.concluded.as_ref().map(|(achieved, summary)| (*achieved, summary.as_str()))
    }
}
