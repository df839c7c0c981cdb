//! Asking a model's server: again where it may go well, after a pause with jitter or the one the server asks for. Bounded.

use std::time::Duration;

use tracing::Instrument;

use super::attempt::Failure;
use super::{Answered, Asked, Model, ModelServer, NoReply};
use crate::ambient::back_off;

/// A longer pause is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Model for ModelServer {
    async fn ask(&self, asked: Asked<'_>) -> Answered {
        let span = tracing::info_span!(
            "chat",
            "gen_ai.operation.name" = "chat",
            "gen_ai.request.model" = asked.chat.model,
            "gen_ai.response.model" = tracing::field::Empty,
            "gen_ai.usage.input_tokens" = tracing::field::Empty,
            "gen_ai.usage.output_tokens" = tracing::field::Empty,
        );
        if asked.chat.url != self.url() {
            let reason = format!("this server asks models at {}, not at {}", self.url(), asked.chat.url);
            return Answered::nothing(NoReply::last(reason));
        }
        let answered = self.persevere(&asked).instrument(span.clone()).await;
        span.record("gen_ai.response.model", answered.model.as_str());
        if let Some(usage) = answered.usage {
            span.record("gen_ai.usage.input_tokens", usage.input);
            span.record("gen_ai.usage.output_tokens", usage.output);
        }
        answered
    }
}

impl ModelServer {
    async fn persevere(&self, asked: &Asked<'_>) -> Answered {
        let mut failures = Vec::new();
        for attempt in 1.. {
            let (no_reply, pause) = match self.attempt(asked).await {
                Ok(received) => {
                    let (reply, model, usage) = (Ok(received.reply), received.model, received.usage);
                    return Answered { reply, model, usage, attempts: attempt, failures };
                }
                Err(Failure::Malformed { reason, received }) => {
                    (NoReply { reason, received: Some(received), is_final: false }, None)
                }
                Err(Failure::Refused(reason)) => (NoReply::last(reason), None),
                Err(Failure::Passing { reason, wait }) => {
                    let pause = wait.unwrap_or_else(|| back_off(attempt - 1));
                    let no_reply = NoReply { reason, received: None, is_final: false };
                    (no_reply, Some(pause).filter(|pause| attempt < self.options.attempts && *pause <= LONGEST_WAIT))
                }
            };
            let Some(pause) = pause else {
                return Answered { attempts: attempt, failures, ..Answered::nothing(no_reply) };
            };
            tracing::info!(attempt, reason = no_reply.reason, pause_ms = pause.as_millis(), "planner.model.again");
            failures.push(no_reply.reason);
            tokio::time::sleep(pause).await;
        }
        Answered::nothing(NoReply::last("no request was sent"))
    }
}
