//! What may be said about a model that is to plan a run, and what is made of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xagent_domain::run::{Budget, ChatSpec};

use super::ModelServer;
use crate::InvalidInput;

/// Bytes of messages in one request, unless told otherwise, and the bounds of it.
const CONTEXT: (u32, u32, u32) = (96 * 1024, 32 * 1024, 1024 * 1024);
/// Tokens of one reply, and the most of them.
const REPLY: (u32, u32) = (4096, 131_072);
/// The budget of runs that name none, and the most of it.
const BUDGET: Budget = Budget { steps: 100, calls: 400, tokens: 2_000_000, wall_ms: 24 * 3600 * 1000 };
const MOST: Budget = Budget { steps: 10_000, calls: 100_000, tokens: 1 << 50, wall_ms: 366 * 24 * 3600 * 1000 };
/// Tools named at most.
const TOOLS: usize = 128;

/// A chat model that is to plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChatRequest {
    /// The model; the server's own default where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The base of its API, which must be the one this installation is configured with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Sampling temperature, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Tokens of one reply at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Whether replies come as a stream.
    pub stream: bool,
    /// Bytes of messages in one request at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_bytes: Option<u32>,
    /// The tools it is offered; all that workers run where none is named.
    pub tools: Vec<String>,
    /// Where the run ends, whatever the model wants.
    pub budget: BudgetRequest,
}

/// What a planned run may use up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetRequest {
    /// Consultations of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Tool calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
    /// Tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Seconds since the run started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_s: Option<u64>,
}

impl ChatRequest {
    /// The model as a run records it.
    pub(crate) fn spec(&self, server: Option<&ModelServer>) -> Result<ChatSpec, InvalidInput> {
        let field = |name: &str| format!("/planner/chat/{name}");
        let Some(server) = server else {
            let message = "this server asks no models: start it with --model-url, or set XAGENT_MODEL_URL";
            return Err(InvalidInput::new("/planner/chat", message));
        };
        if let Some(url) = self.url.as_deref().filter(|url| url.trim_end_matches('/') != server.url()) {
            let shown: String = url.chars().take(200).collect();
            let message =
                format!("`{shown}`: this server asks models at {}; see `xagent serve --model-url`", server.url());
            return Err(InvalidInput::new(field("url"), message));
        }
        let model = self.model.as_deref().or_else(|| server.model()).unwrap_or_default();
        if model.is_empty() || model.len() > 200 || model.chars().any(char::is_control) {
            return Err(InvalidInput::new(field("model"), "name a model in 1 to 200 bytes"));
        }
        let temperature_milli = self.temperature.map(milli).transpose()?;
        if self.tools.len() > TOOLS {
            return Err(InvalidInput::new(
                field("tools"),
                format!("{} tools are named; at most {TOOLS}", self.tools.len()),
            ));
        }
        let budget = &self.budget;
        Ok(ChatSpec {
            url: server.url().to_owned(),
            model: model.to_owned(),
            temperature_milli,
            max_tokens: within(self.max_tokens.unwrap_or(REPLY.0), 1, REPLY.1, || field("max_tokens"))?,
            stream: self.stream,
            context_bytes: within(self.context_bytes.unwrap_or(CONTEXT.0), CONTEXT.1, CONTEXT.2, || {
                field("context_bytes")
            })?,
            tools: self.tools.clone(),
            budget: Budget {
                steps: within(budget.steps.unwrap_or(BUDGET.steps), 1, MOST.steps, || field("budget/steps"))?,
                calls: within(budget.calls.unwrap_or(BUDGET.calls), 1, MOST.calls, || field("budget/calls"))?,
                tokens: within(budget.tokens.unwrap_or(BUDGET.tokens), 1, MOST.tokens, || field("budget/tokens"))?,
                wall_ms: 1000
                    * within(budget.wall_s.unwrap_or(BUDGET.wall_ms / 1000), 1, MOST.wall_ms / 1000, || {
                        field("budget/wall_s")
                    })?,
            },
        })
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    value: T,
    least: T,
    most: T,
    field: impl Fn() -> String,
) -> Result<T, InvalidInput> {
    if value < least || value > most {
        return Err(InvalidInput::new(field(), format!("{value} is not within {least} and {most}")));
    }
    Ok(value)
}

/// A temperature in thousandths: what is recorded holds no floats.
fn milli(temperature: f64) -> Result<u32, InvalidInput> {
    if !(0.0..=2.0).contains(&temperature) {
        let message = format!("{temperature} is not within 0 and 2");
        return Err(InvalidInput::new("/planner/chat/temperature", message));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within 0 and 2000")]
    let milli = (temperature * 1000.0).round() as u32;
    Ok(milli)
}
