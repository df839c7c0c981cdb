//! What the law is asked, and the recorded circumstances of asking.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ApprovalId, CallId, CanonicalJson, Entrypoint, Principal};

/// Recorded circumstances a policy may use: nothing else of the outside world reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Context {
    /// The clock, in microseconds since 1970-01-01T00:00:00Z.
    pub now_us: i64,
    /// Counters as they stood.
    pub usage: Usage,
    /// The form of the policy input, so that an old decision's input is rebuilt as it was.
    #[serde(default = "first_form", skip_serializing_if = "is_first_form")]
    pub input_version: u32,
}

impl Context {
    /// The form inputs are given today.
    pub const INPUT_VERSION: u32 = 2;

    /// Circumstances of a question put today.
    pub fn new(now_us: i64, usage: Usage) -> Self {
        Self { now_us, usage, input_version: Self::INPUT_VERSION }
    }

    /// Whether inputs say where values come from, what taints the run and what it has spent.
    pub(crate) fn tells_provenance(&self) -> bool {
        self.input_version >= 2
    }
}

fn first_form() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first_form(version: &u32) -> bool {
    *version == 1
}

/// Counters of the last minute for the principal that asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Commands issued.
    pub commands_last_minute: u32,
    /// Tool calls proposed.
    pub tool_calls_last_minute: u32,
    /// Calls of the proposed tool among them, zero where none is proposed; none in inputs of the first form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub this_tool_last_minute: Option<u32>,
}

/// A command or a read as its principal meant it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Intent {
    /// For example `run.start`; the list is in `docs/commands.md`.
    pub name: String,
    /// Who asks.
    pub principal: Principal,
    /// The type of aggregate it is about.
    pub aggregate: String,
    /// The id of that aggregate; empty where the command is about many.
    pub id: String,
    /// What a policy may want to know of the command's content.
    pub attributes: BTreeMap<String, String>,
}

/// What a decision answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// May this principal do this?
    Command(Intent),
    /// May this tool call be run?
    ToolCall {
        /// The call.
        call: CallId,
        /// The approval it relies on, if any.
        approval: Option<ApprovalId>,
    },
}

impl Question {
    /// The rule that answers this kind of question.
    pub fn entrypoint(&self) -> Entrypoint {
        match self {
            Self::Command(_) => Entrypoint::api(),
            Self::ToolCall { .. } => Entrypoint::tools(),
        }
    }
}

/// A question with the exact bytes the engine is to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// What is asked.
    pub question: Question,
    /// The policy input.
    pub input: CanonicalJson,
}
