//! Walking one run: perceive (its state), plan, decide, act, and record what came of it, until it waits or ends.

use tracing::Instrument;
use xagent_domain::run::{Act, Next, PlannerSpec, Run};

use super::{Walk, Worker};
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
        let span = tracing::info_span!(
            "invoke_agent",
            "gen_ai.operation.name" = "invoke_agent",
            "gen_ai.agent.name" = tracing::field::Empty,
            "gen_ai.conversation.id" = walk.key.run,
        );
        match self.walk(&mut walk, &span).instrument(span.clone()).await {
            Ok(driven) => driven,
            Err(error) => {
                tracing::warn!(run = %walk.key.run, error = %error, "worker.walk.failed");
                Driven::Later
            }
        }
    }

    async fn walk(&self, walk: &mut Walk, span: &tracing::Span) -> Result<Driven, CommandError> {
        let run = self.state(walk).await?;
        span.record("gen_ai.agent.name", run.agent());
        if matches!(run.next(), Next::Wait | Next::Done) {
            return Ok(Driven::Rests);
        }
        if !self.can_plan(&run) {
            return Ok(Driven::Later);
        }
        walk.answering = Box::pin(self.commands.answering(&walk.key.tenant, &run)).await?;
        let lease = self.commands.ledger().lease(&format!("run/{}", walk.key.run)).await?;
        let Some(lease) = lease else { return Ok(Driven::Later) };
        let mut run = self.state(walk).await?;
        while !walk.stop.is_cancelled() {
            if !lease.is_held().await {
                return Ok(Driven::Later);
            }
            run = match run.next() {
                Next::Wait | Next::Done => return Ok(Driven::Rests),
                Next::Start(_) => {
                    let calls = run.startable();
                    Box::pin(self.perform(walk, run, &calls)).await?
                }
                Next::Retry(call) => Box::pin(self.perform(walk, run, &[call])).await?,
                Next::Interrupt(call) => {
                    let reason = "its worker is gone, and the tool is not registered as idempotent".to_owned();
                    self.record(walk, Act::InterruptCall { call, reason }, Vec::new()).await?.state
                }
                Next::Propose => self.propose(walk, &run).await?,
                Next::Consult => {
                    walk.next_step();
                    let span =
                        tracing::info_span!("plan", "gen_ai.operation.name" = "plan", "xagent.step" = run.steps() + 1);
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
