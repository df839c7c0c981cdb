//! Who plans a run, as it is recorded when the run starts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Content, RunId};

/// One step of a plan file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanStep {
    /// The step's name, by which later steps use its result.
    pub id: String,
    /// The tool to call.
    pub tool: String,
    /// Its arguments; `{{step.output.field}}` stands for an earlier step's result.
    #[serde(default)]
    pub arguments: Value,
    /// Whether the goal fails when this step does not succeed.
    #[serde(default)]
    pub required: bool,
}

/// A plan file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<PlanStep>,
}

/// Who proposes the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlannerSpec {
    /// The client, through the API.
    Client,
    /// A plan file, as canonical JSON.
    Scripted(Content),
    /// A chat model.
    Chat(ChatSpec),
    /// The recorded replies of a chat model to another run, for as long as this one sees the same.
    Recorded(RecordedSpec),
}

/// How a chat model is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatSpec {
    /// The base of its API, for example `https://models.example/v1`.
    pub url: String,
    /// The model.
    pub model: String,
    /// Sampling temperature in thousandths; none leaves it to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_milli: Option<u32>,
    /// Tokens of one reply at most.
    pub max_tokens: u32,
    /// Whether replies come as a stream.
    pub stream: bool,
    /// Bytes of messages in one request at most; older turns are left out, and that is said.
    pub context_bytes: u32,
    /// The tools it is offered; empty for all that workers run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Where the run ends, whatever the model wants.
    pub budget: Budget,
}

/// What a planned run may use up. The law has budgets of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// Consultations of the planner.
    pub steps: u32,
    /// Tool calls proposed.
    pub calls: u32,
    /// Tokens of all consultations.
    pub tokens: u64,
    /// Milliseconds since the run started, those it was paused or waited for people included.
    pub wall_ms: u64,
}

/// Whose replies are used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedSpec {
    /// The run.
    pub from: RunId,
    /// How its model was asked.
    pub chat: ChatSpec,
}

impl PlannerSpec {
    /// The planner's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Scripted(_) => "scripted",
            Self::Chat(_) => "chat",
            Self::Recorded(_) => "recorded",
        }
    }

    /// How a chat model is, or was, asked; none where no model plans.
    pub const fn chat(&self) -> Option<&ChatSpec> {
        match self {
            Self::Chat(chat) => Some(chat),
            Self::Recorded(recorded) => Some(&recorded.chat),
            Self::Client | Self::Scripted(_) => None,
        }
    }
}
