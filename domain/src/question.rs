//! What the law is asked, and the recorded circumstances of asking.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ApprovalId, CallId, CanonicalJson, Entrypoint, Principal};

/// Recorded circumstances a policy may use: nothing else of the outside world reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// The clock, in microseconds since 1970-01-01T00:00:00Z.
    pub now_us: i64,
    /// Counters as they stood.
    pub usage: Usage,
}

/// Counters of the last minute for the principal that asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Commands issued.
    pub commands_last_minute: u32,
    /// Tool calls proposed.
    pub tool_calls_last_minute: u32,
}

/// A command or a read as its principal meant it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
