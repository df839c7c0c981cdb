//! Walking one run: perceive (its state), plan, decide, act, and record what came of it, until it waits or ends.

use tracing::Instrument;
use xagent_domain::run::{Act, Next, PlannerSpec, Run};
use xagent_domain::{Decider, Metadata};
use xagent_ledger::{Lease, Loaded};

use super::{RunKey, Walk, Worker};
use crate::CommandError;

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driven {
    /// The run waits for somebody, or has ended.
    Rests,
    /// Another process has it, or something is away: look again.
    Later,
}

impl Worker {
    pub(super) async fn drive(&self, mut walk: Walk) -> Driven {
        match self.walk(&mut walk).await {
            Ok(driven) => driven,
            Err(error) => {
                tracing::warn!(run = %walk.key.run, error = %error, "worker.walk.failed");
                Driven::Later
            }
        }
    }

    async fn walk(&self, walk: &mut Walk) -> Result<Driven, CommandError> {
        let run = self.state(walk).await?;
        if matches!(run.next(), Next::Wait | Next::Done) {
            return Ok(Driven::Rests);
        }
        if !self.can_plan(&run) {
            return Ok(Driven::Later);
        }
        let lease = self.commands.ledger().lease(&format!("run/{}", walk.key.run)).await?;
        let Some(lease) = lease else { return Ok(Driven::Later) };
        let Loaded { state: run, sequence, .. } =
            self.commands.ledger().load::<Run>(&walk.key.tenant, &walk.key.run).await?;
        let span = tracing::info_span!(
            "invoke_agent",
            "gen_ai.operation.name" = "invoke_agent",
            "gen_ai.agent.name" = run.agent(),
            "gen_ai.conversation.id" = walk.key.run,
        );
        walk.traceparent = xagent_trace::adopt(&span, &self.cause(walk, sequence).await?);
        self.steps(walk, run, &lease).instrument(span).await
    }

    /// The trace of what brought the run to where it is: whoever walks it goes on with that.
    async fn cause(&self, walk: &Walk, sequence: u64) -> Result<String, CommandError> {
        let RunKey { tenant, run } = &walk.key;
        let last = self.commands.ledger().stream(tenant, Run::TYPE, run, sequence.saturating_sub(1), 1).await?;
        let metadata = last.first().and_then(|event| serde_json::from_str::<Metadata>(&event.metadata).ok());
        Ok(metadata.map(|metadata| metadata.traceparent).unwrap_or_default())
    }

    async fn steps(&self, walk: &mut Walk, mut run: Run, lease: &Lease) -> Result<Driven, CommandError> {
        while !walk.stop.is_cancelled() {
            if !lease.is_held().await {
                return Ok(Driven::Later);
            }
            run = match run.next() {
                Next::Wait | Next::Done => return Ok(Driven::Rests),
                Next::Start(_) => {
                    let calls = run.startable();
                    self.perform(walk, run, &calls).await?
                }
                Next::Retry(call) => self.perform(walk, run, &[call]).await?,
                Next::Interrupt(call) => {
                    let reason = "its worker is gone, and the tool is not registered as idempotent".to_owned();
                    self.record(walk, Act::InterruptCall { call, reason }, Vec::new()).await?.state
                }
                Next::Propose => self.propose(walk, &run).await?,
                Next::Consult => {
                    let span =
                        tracing::info_span!("plan", "gen_ai.operation.name" = "plan", "xagent.step" = run.steps() + 1);
                    walk.next_step(&span);
                    self.consult(walk, &run).instrument(span).await?
                }
                Next::Conclude => self.conclude(walk, &run).await?,
            };
        }
        Ok(Driven::Rests)
    }

    /// A run whose model this process cannot ask is left to one that can.
    fn can_plan(&self, run: &Run) -> bool {
        let Some(PlannerSpec::Chat(chat)) = run.planner() else { return true };
        let can = self.commands.model().is_some_and(|server| server.url() == chat.url);
        if !can {
            tracing::debug!(run = run.id_text(), url = chat.url, "worker.model.elsewhere");
        }
        can
    }

    async fn consult(&self, walk: &Walk, run: &Run) -> Result<Run, CommandError> {
        match run.planner() {
            Some(PlannerSpec::Scripted(plan)) => self.follow(walk, run, plan).await,
            Some(PlannerSpec::Chat(chat)) => self.ask(walk, run, chat, None).await,
            Some(PlannerSpec::Recorded(recorded)) => self.ask(walk, run, &recorded.chat, Some(recorded.from)).await,
            Some(PlannerSpec::Client) | None => Ok(run.clone()),
        }
    }

    async fn conclude(&self, walk: &Walk, run: &Run) -> Result<Run, CommandError> {
        let Some((achieved, summary)) = run.concluded() else { return Ok(run.clone()) };
        let act = Act::Finish { achieved, summary: summary.to_owned() };
        Ok(self.record(walk, act, Vec::new()).await?.state)
    }
}
