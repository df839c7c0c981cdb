//! Performing calls: commit each attempt, make its permit from what was committed, run the tools, record their outcomes in
//! the order the calls were planned in.

use std::time::Instant;

use tokio::task::JoinHandle;
use tracing::Instrument;
use xagent_domain::governed::Refusal;
use xagent_domain::run::{Act, Call, Executor, Run, RunEvent, ToolOutcome};
use xagent_domain::{CallId, CanonicalJson, Content, DecisionId, DecisionMade};
use xagent_ledger::Committed;

use super::{RunKey, Walk, Worker};
use crate::governed::{Allowed, Executed};
use crate::tool::{ToolResult, UpstreamError};
use crate::{CommandError, InvalidInput, ToolCall, measured};

/// Events looked through at once for a decision.
const PAGE: u64 = 100;

/// A tool at work.
struct UnderWay {
    call: CallId,
    task: JoinHandle<Worked>,
}

/// What a tool gave back, or why that is not known, and how long it took in microseconds.
type Worked = (Result<ToolResult, String>, u64);

/// How a tool's work ended.
enum Ended {
    With(ToolResult, u64),
    Unknown(String),
}

impl Worker {
    /// Performs calls that do not depend on each other, a bounded number at once.
    pub(super) async fn perform(&self, walk: &Walk, run: Run, calls: &[CallId]) -> Result<Run, CommandError> {
        let mut under_way = Vec::new();
        let mut state = run;
        let mut failed = None;
        for call in calls.iter().take(self.options.calls) {
            match self.begin(walk, &state, *call).await {
                Ok((run, begun)) => {
                    state = run;
                    under_way.extend(begun);
                }
                // Somebody paused or ended the run, or the ledger is away: what has begun is brought to its end.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for begun in under_way {
            match self.end(walk, begun).await {
                Ok(run) => state = run,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            None => Ok(state),
            Some(CommandError::Refused(Refusal::Conflict { code: "run_status", .. })) => self.state(walk).await,
            Some(error) => Err(error),
        }
    }

    /// Commits an attempt and sets the tool to work.
    async fn begin(&self, walk: &Walk, run: &Run, id: CallId) -> Result<(Run, Option<UnderWay>), CommandError> {
        let Some(call) = run.call(&id).cloned() else { return Ok((run.clone(), None)) };
        let slot = tokio::select! {
            slot = self.slots.clone().acquire_owned() => slot.ok(),
            // Nothing of a run that has ended is begun: the attempt below is refused.
            () = walk.ended.cancelled() => None,
        };
        let arguments = self.commands.text_of(&call.arguments).await?;
        let act = Act::StartCall { call: id, arguments: arguments.clone() };
        let started = self.record(walk, act, Vec::new()).await?;
        let Some(permit) = self.permit(walk, &started, &call, arguments).await? else {
            return Ok((started.state, None));
        };
        let span = tracing::info_span!(
            "execute_tool",
            "gen_ai.operation.name" = "execute_tool",
            "gen_ai.tool.name" = call.tool.name,
            "gen_ai.tool.call.id" = %id,
            "otel.status_code" = tracing::field::Empty,
        );
        let (worker, key) = (self.clone(), walk.key.clone());
        let work = async move {
            let clock = Instant::now();
            let result = worker.call(&key, &call, permit).await;
            drop(slot);
            if !result.as_ref().is_ok_and(|result| result.succeeded) {
                tracing::Span::current().record("otel.status_code", "ERROR");
            }
            measured::called(result.as_ref().ok().map(|result| result.succeeded), clock.elapsed());
            (result, u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX))
        };
        Ok((started.state, Some(UnderWay { call: id, task: tokio::spawn(work.instrument(span)) })))
    }

    /// Makes a call; an error says why its outcome is not known, and then it must not be made twice.
    async fn call(&self, key: &RunKey, call: &Call, permit: Allowed<ToolCall>) -> Result<ToolResult, String> {
        match call.tool.executor {
            Executor::Upstream => match self.call_upstream(key, call, permit).await {
                Ok(result) => Ok(result),
                Err(UpstreamError::Unknown(reason)) if !call.tool.idempotent => Err(reason),
                Err(error) => Ok(ToolResult::of(Err(error.to_string()))),
            },
            Executor::Builtin | Executor::Client => Ok(self.toolbox.run(permit).await),
        }
    }

    /// Waits for a tool and records how it ended. One whose run has ended is given up.
    async fn end(&self, walk: &Walk, mut under_way: UnderWay) -> Result<Run, CommandError> {
        let ended = tokio::select! {
            biased;
            done = &mut under_way.task => Ended::of(done, "the tool broke off"),
            () = walk.ended.cancelled() => {
                under_way.task.abort();
                Ended::of(under_way.task.await, "the run ended while the tool was at work")
            }
        };
        let call = under_way.call;
        match ended {
            Ended::With(result, duration_us) => self.record_outcome(walk, call, result, duration_us).await,
            Ended::Unknown(reason) => {
                let act = Act::InterruptCall { call, reason };
                self.record_closing(walk, act, Vec::new()).await
            }
        }
    }

    /// The permit, if the attempt was committed. A denial on a second decision leaves none.
    async fn permit(
        &self,
        walk: &Walk,
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
            None => self.decision(walk, attempt.sequence(), decision).await?,
        };
        let now_us = self.commands.executor().now_us();
        let permit = Allowed::from_committed(&decision, attempt, &started.state, call, arguments, now_us);
        permit.map(Some).map_err(|error| InvalidInput::new("/permit", error.to_string()).into())
    }

    /// Reads a decision of the run back from the ledger, verified.
    async fn decision(
        &self,
        walk: &Walk,
        before: u64,
        wanted: DecisionId,
    ) -> Result<Committed<DecisionMade>, CommandError> {
        let mut end = before;
        while end > 0 {
            let start = end.saturating_sub(PAGE);
            let limit = u32::try_from(end - start).unwrap_or(u32::MAX);
            let page = self.commands.ledger().committed::<Run>(&walk.key.tenant, &walk.key.run, start, limit).await?;
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
        walk: &Walk,
        call: CallId,
        result: ToolResult,
        duration_us: u64,
    ) -> Result<Run, CommandError> {
        let result = self.toolbox.redacted(result).await;
        let output = CanonicalJson::of_value(&result.output);
        let output = output.map_err(|error| InvalidInput::new("/output", error.to_string()))?;
        let (output, blob) = Content::json(output);
        let outcome = ToolOutcome { succeeded: result.succeeded, output };
        let act = Act::CompleteCall { call, outcome, duration_us };
        self.record_closing(walk, act, blob.into_iter().collect()).await
    }

    async fn record_closing(
        &self,
        walk: &Walk,
        act: Act,
        blobs: Vec<xagent_domain::Blob>,
    ) -> Result<Run, CommandError> {
        match self.record_surely(walk, act, blobs).await {
            // An earlier try went through although its answer was lost.
            Err(CommandError::Refused(Refusal::Conflict { code: "call_closed", .. })) => self.state(walk).await,
            other => other,
        }
    }
}

impl Ended {
    fn of(done: Result<Worked, tokio::task::JoinError>, otherwise: &str) -> Self {
        match done {
            Ok((Ok(result), duration_us)) => Self::With(result, duration_us),
            Ok((Err(reason), _)) => Self::Unknown(reason),
            Err(error) if error.is_panic() => Self::Unknown("the tool broke off".to_owned()),
            Err(_) => Self::Unknown(otherwise.to_owned()),
        }
    }
}
