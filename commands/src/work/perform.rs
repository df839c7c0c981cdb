//! Performing calls: commit each attempt, make its permit from what was committed, run the tools, record their outcomes in
//! the order the calls were planned in.

use std::time::{Duration, Instant};

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
    /// Whether it may be made again.
    idempotent: bool,
    task: JoinHandle<Worked>,
}

/// What a tool gave back, or why that is not known, and how long it took in microseconds.
type Worked = (Result<ToolResult, Unknown>, u64);

/// Why what became of a call is not known.
enum Unknown {
    /// It must not be made twice, or was made often enough.
    Final(String),
    /// It may be made again, after a pause.
    Again(Duration),
}

/// Attempts of an idempotent call of which it is not known what became of them.
const ATTEMPTS: u32 = 3;
/// Before a second attempt, longer than an upstream that was lost is left alone at first; doubled before a third.
const PAUSE: Duration = Duration::from_millis(600);

/// How a tool's work ended.
enum Ended {
    With(ToolResult, u64),
    Unknown(String),
    /// The call may be made again, after a pause.
    Left(Duration),
}

/// How a call began.
enum Begun {
    /// The tool is at work.
    UnderWay(UnderWay),
    /// It may not begin, as is recorded.
    Not,
    /// As many calls of the tool are under way as may be.
    Limited,
}

impl Worker {
    /// Performs calls that do not depend on each other, a bounded number at once. None where a limit lets none of them begin.
    pub(super) async fn perform(&self, walk: &Walk, run: Run, calls: &[CallId]) -> Result<Option<Run>, CommandError> {
        let mut under_way = Vec::new();
        let mut state = run;
        let (mut failed, mut limited) = (None, 0);
        for call in calls.iter().take(self.options.calls) {
            match self.begin(walk, &state, *call).await {
                Ok((run, Begun::UnderWay(begun))) => {
                    state = run;
                    under_way.push(begun);
                }
                Ok((run, Begun::Not)) => state = run,
                Ok((run, Begun::Limited)) => {
                    state = run;
                    limited += 1;
                }
                // Somebody paused or ended the run, or the ledger is away: what has begun is brought to its end.
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let none_began = limited > 0 && under_way.is_empty();
        for begun in under_way {
            match self.end(walk, begun).await {
                Ok(run) => state = run,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            None => Ok((!none_began).then_some(state)),
            Some(CommandError::Refused(Refusal::Conflict { code: "run_status", .. })) => {
                self.state(walk).await.map(Some)
            }
            Some(error) => Err(error),
        }
    }

    /// Commits an attempt and sets the tool to work.
    async fn begin(&self, walk: &Walk, run: &Run, id: CallId) -> Result<(Run, Begun), CommandError> {
        let Some(call) = run.call(&id).cloned() else { return Ok((run.clone(), Begun::Not)) };
        if let Some(answered) = Box::pin(self.answer_call(walk, run, &call)).await? {
            return Ok((answered, Begun::Not));
        }
        let slot = tokio::select! {
            slot = self.slots.clone().acquire_owned() => slot.ok(),
            // Nothing of a run that has ended is begun: the attempt below is refused.
            () = walk.ended.cancelled() => None,
        };
        let Some(place) = self.place_of_tool(&walk.key.tenant, &call.tool.name).await? else {
            return Ok((run.clone(), Begun::Limited));
        };
        let arguments = self.commands.text_of(&call.arguments).await?;
        let act = Act::StartCall { call: id, arguments: arguments.clone() };
        let started = self.record(walk, act, Vec::new()).await?;
        let Some(permit) = self.permit(walk, &started, &call, arguments).await? else {
            return Ok((started.state, Begun::Not));
        };
        let span = tracing::info_span!(
            "execute_tool",
            "gen_ai.operation.name" = "execute_tool",
            "gen_ai.tool.name" = call.tool.name,
            "gen_ai.tool.call.id" = %id,
            "otel.status_code" = tracing::field::Empty,
        );
        let (worker, key, idempotent) = (self.clone(), walk.key.clone(), call.tool.idempotent);
        let work = async move {
            let clock = Instant::now();
            let result = worker.call(&key, &call, permit).await;
            drop((slot, place));
            if !result.as_ref().is_ok_and(|result| result.succeeded) {
                tracing::Span::current().record("otel.status_code", "ERROR");
            }
            measured::called(result.as_ref().ok().map(|result| result.succeeded), clock.elapsed());
            (result, u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX))
        };
        let task = tokio::spawn(work.instrument(span));
        Ok((started.state, Begun::UnderWay(UnderWay { call: id, idempotent, task })))
    }

    /// Makes a call; an error says why its outcome is not known, and then it must not be made twice.
    async fn call(&self, key: &RunKey, call: &Call, permit: Allowed<ToolCall>) -> Result<ToolResult, Unknown> {
        match call.tool.executor {
            Executor::Upstream => match self.call_upstream(key, call, permit).await {
                Ok(result) => Ok(result),
                Err(UpstreamError::Unknown(reason)) if !call.tool.idempotent => Err(Unknown::Final(reason)),
                Err(UpstreamError::Unknown(reason)) if call.attempts + 1 < ATTEMPTS => {
                    tracing::info!(tool = call.tool.name, attempt = call.attempts + 1, reason, "worker.call.again");
                    Err(Unknown::Again(PAUSE * (1 << call.attempts)))
                }
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
            () = walk.given_up.cancelled() => {
                under_way.task.abort();
                match Ended::of(under_way.task.await, "its worker had to stop while the tool was at work") {
                    Ended::Unknown(_) if under_way.idempotent => Ended::Left(Duration::ZERO),
                    ended => ended,
                }
            }
        };
        let call = under_way.call;
        match ended {
            Ended::With(result, duration_us) => self.record_outcome(walk, call, result, duration_us).await,
            Ended::Unknown(reason) => {
                let act = Act::InterruptCall { call, reason };
                self.record_closing(walk, act, Vec::new()).await
            }
            Ended::Left(pause) => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = walk.ended.cancelled() => {}
                    () = walk.stop.cancelled() => {}
                }
                self.state(walk).await
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
        let outcome = ToolOutcome { succeeded: result.succeeded, output, recording: None };
        let act = Act::CompleteCall { call, outcome, duration_us };
        self.record_closing(walk, act, blob.into_iter().collect()).await
    }

    pub(super) async fn record_closing(
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
            Ok((Err(Unknown::Final(reason)), _)) => Self::Unknown(reason),
            Ok((Err(Unknown::Again(pause)), _)) => Self::Left(pause),
            Err(error) if error.is_panic() => Self::Unknown("the tool broke off".to_owned()),
            Err(_) => Self::Unknown(otherwise.to_owned()),
        }
    }
}
