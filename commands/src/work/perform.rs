//! Performing one call: commit the attempt, make the permit from what was committed, run the tool, record its outcome.

use std::time::Instant;

use xagent_domain::governed::Refusal;
use xagent_domain::run::{Act, Call, Executor, Run, RunEvent, ToolOutcome};
use xagent_domain::{CallId, CanonicalJson, Content, DecisionId, DecisionMade};
use xagent_ledger::Committed;

use super::{RunKey, Worker};
use crate::ambient::pause;
use crate::governed::{Allowed, Executed};
use crate::tool::{ToolResult, UpstreamError};
use crate::{CommandError, InvalidInput, ToolCall};

/// Tries to record an outcome before it is left to the next walk: about eight minutes.
const RECORDINGS: u32 = 250;
/// Events looked through at once for a decision.
const PAGE: u64 = 100;

impl Worker {
    pub(super) async fn perform(&self, key: &RunKey, run: Run, id: CallId) -> Result<Run, CommandError> {
        let Some(call) = run.call(&id).cloned() else { return Ok(run) };
        let arguments = self.commands.text_of(&call.arguments).await?;
        let act = Act::StartCall { call: id, arguments: arguments.clone() };
        let started = self.record(key, act, Vec::new()).await?;
        let Some(permit) = self.permit(key, &started, &call, arguments).await? else { return Ok(started.state) };
        let clock = Instant::now();
        let result = match call.tool.executor {
            Executor::Upstream => match self.call_upstream(key, &call, permit).await {
                Ok(result) => result,
                // What it did is not known, and it must not be done twice.
                Err(UpstreamError::Unknown(reason)) if !call.tool.idempotent => {
                    return Ok(self.record(key, Act::InterruptCall { call: id, reason }, Vec::new()).await?.state);
                }
                Err(error) => ToolResult::of(Err(error.to_string())),
            },
            Executor::Builtin | Executor::Client => self.toolbox.run(permit).await,
        };
        let duration_us = u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.record_outcome(key, id, result, duration_us).await
    }

    /// The permit, if the attempt was committed. A denial on a second decision leaves none.
    async fn permit(
        &self,
        key: &RunKey,
        started: &Executed<Run>,
        call: &Call,
        arguments: CanonicalJson,
    ) -> Result<Option<Allowed<ToolCall>>, CommandError> {
        let attempt = started.events.iter().find_map(|event| match event.event() {
            RunEvent::ToolCallStarted { decision, .. } => Some((event, *decision)),
            _ => None,
        });
        let Some((attempt, decision)) = attempt else { return Ok(None) };
        let fresh = started.events.iter().find_map(Committed::part::<DecisionMade>);
        let decision = match fresh {
            Some(fresh) => fresh,
            None => self.decision(key, attempt.sequence(), decision).await?,
        };
        let now_us = self.commands.executor().now_us();
        let permit = Allowed::from_committed(&decision, attempt, &started.state, call, arguments, now_us);
        permit.map(Some).map_err(|error| InvalidInput::new("/permit", error.to_string()).into())
    }

    /// Reads a decision of the run back from the ledger, verified.
    async fn decision(
        &self,
        key: &RunKey,
        before: u64,
        wanted: DecisionId,
    ) -> Result<Committed<DecisionMade>, CommandError> {
        let mut end = before;
        while end > 0 {
            let start = end.saturating_sub(PAGE);
            let limit = u32::try_from(end - start).unwrap_or(u32::MAX);
            let page = self.commands.ledger().committed::<Run>(&key.tenant, &key.run, start, limit).await?;
            let found = page.iter().rev().filter_map(Committed::part::<DecisionMade>);
            if let Some(found) = found.into_iter().find(|found| found.event().decision == wanted) {
                return Ok(found);
            }
            end = start;
        }
        Err(Refusal::NotFound { what: "decision", id: wanted.to_string() }.into())
    }

    /// The tool has run: its outcome is kept trying to be recorded, for nothing may be run twice.
    async fn record_outcome(
        &self,
        key: &RunKey,
        call: CallId,
        result: ToolResult,
        duration_us: u64,
    ) -> Result<Run, CommandError> {
        let output = CanonicalJson::of_value(&result.output);
        let output = output.map_err(|error| InvalidInput::new("/output", error.to_string()))?;
        let (output, blob) = Content::json(output);
        let outcome = ToolOutcome { succeeded: result.succeeded, output };
        for attempt in 0..RECORDINGS {
            let act = Act::CompleteCall { call, outcome: outcome.clone(), duration_us };
            match self.record(key, act, blob.clone().into_iter().collect()).await {
                Ok(recorded) => return Ok(recorded.state),
                Err(CommandError::Ledger(error)) if error.is_unavailable() => {
                    tracing::warn!(run = %key.run, call = %call, error = %error, "worker.outcome.waits");
                    tokio::time::sleep(pause(attempt, 2000)).await;
                }
                // An earlier try went through although its answer was lost.
                Err(CommandError::Refused(Refusal::Conflict { code: "call_closed", .. })) => break,
                Err(other) => return Err(other),
            }
        }
        Ok(self.commands.ledger().load::<Run>(&key.tenant, &key.run).await?.state)
    }
}
