//! Consultations of a planner: what it was asked, what it answered, what that proposes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Content, Digest, GoalId};

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
    /// Call these tools, which do not depend on each other.
    CallTools {
        /// The calls, in the order they are proposed, started and recorded in.
        calls: Vec<PlannedCall>,
    },
    /// Nothing that can be used.
    Unusable {
        /// Why, as the planner is told.
        reason: String,
    },
}

/// A call the planner asked for, before it is checked and decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedCall {
    /// The step's name.
    pub label: String,
    /// The tool, as the planner named it.
    pub tool: String,
    /// Its place among the function calls of the reply, from 0.
    pub index: u32,
}

/// What the planner did to the run's goals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalChange {
    /// A goal under the one pursued now.
    Set {
        /// Its id.
        goal: GoalId,
        /// What is wanted.
        text: String,
    },
    /// A sub-goal is reached.
    Achieved {
        /// Which, from 1 for the root goal, in the order they were set.
        number: u32,
        /// How.
        summary: String,
    },
    /// A sub-goal is given up.
    Failed {
        /// Which, as above.
        number: u32,
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
    /// Digest of what it was shown; of a chat model, of the request's body.
    pub perceived: Digest,
    /// What it proposed.
    pub proposal: Proposal,
    /// Tokens the consultation cost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// What passed between us and a chat model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Box<Exchange>>,
}

/// What passed between us and a chat model. The request is a pure function of the run before it and of `tools`
/// ([`chat_request`](super::chat_request)), so that its digest says all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The form of the request, so that an old one is built again as it was.
    pub form: u32,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// The functions that were offered, as canonical JSON.
    pub tools: Content,
    /// The model that answered, as it calls itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The reply as it was understood, as canonical JSON; none where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Content>,
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the reply.
    pub output_tokens: u64,
    /// Whether the server did not say how many tokens, so that they are estimated from the bytes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// Requests sent, the last included; none where the reply is a recorded one.
    pub attempts: u32,
    /// What was wrong with the attempts before the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    /// How long all of it took, in microseconds.
    pub latency_us: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

impl Consultation {
    /// The version of its shape: what only later versions can say makes it a later one.
    pub(super) fn version(&self) -> &'static str {
        let first = match self.proposal {
            Proposal::CallTool { .. } | Proposal::Achieved { .. } | Proposal::GiveUp { .. } => true,
            Proposal::CallTools { .. } | Proposal::Unusable { .. } => false,
        };
        if first && self.exchange.is_none() { "1" } else { "2" }
    }
}
