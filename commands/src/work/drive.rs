//! Walking one run: perceive (its state), plan, decide, act, and record what came of it, until it waits or ends.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use xagent_domain::run::{Act, Consultation, Next, Plan, PlannerSpec, Proposal, Propose, Run};
use xagent_domain::{Blob, CanonicalJson, Content, Principal};

use super::{RunKey, Worker};
use crate::governed::{Executed, Request};
use crate::planner::{PlannedCall, ScriptedPlanner, Step};
use crate::tool::Wanted;
use crate::{CommandError, InvalidInput};

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driven {
    /// The run waits for somebody, or has ended.
    Rests,
    /// Another process has it, or something is away: look again.
    Later,
}

impl Worker {
    pub(super) async fn drive(&self, key: &RunKey, stop: &CancellationToken) -> Driven {
        match self.walk(key, stop).await {
            Ok(driven) => driven,
            Err(error) => {
                tracing::warn!(run = %key.run, error = %error, "worker.walk.failed");
                Driven::Later
            }
        }
    }

    async fn walk(&self, key: &RunKey, stop: &CancellationToken) -> Result<Driven, CommandError> {
        let ledger = self.commands.ledger();
        let mut run = ledger.load::<Run>(&key.tenant, &key.run).await?.state;
        if matches!(run.next(), Next::Wait | Next::Done) {
            return Ok(Driven::Rests);
        }
        let Some(lease) = ledger.lease(&format!("run/{}", key.run)).await? else { return Ok(Driven::Later) };
        run = ledger.load::<Run>(&key.tenant, &key.run).await?.state;
        while !stop.is_cancelled() {
            if !lease.is_held().await {
                return Ok(Driven::Later);
            }
            run = match run.next() {
                Next::Wait | Next::Done => return Ok(Driven::Rests),
                Next::Start(call) | Next::Retry(call) => self.perform(key, run, call).await?,
                Next::Interrupt(call) => {
                    let reason = "its worker is gone, and the tool is not registered as idempotent".to_owned();
                    self.record(key, Act::InterruptCall { call, reason }, Vec::new()).await?.state
                }
                Next::Consult => self.consult(key, &run).await?,
            };
        }
        Ok(Driven::Rests)
    }

    /// Asks the planner and records its answer together with the decision on what it proposed.
    async fn consult(&self, key: &RunKey, run: &Run) -> Result<Run, CommandError> {
        let results = self.results(run).await?;
        let perceived = CanonicalJson::of(&results).map_err(|e| InvalidInput::new("/results", e.to_string()))?.digest();
        let Some(PlannerSpec::Scripted(content)) = run.planner() else {
            return Err(InvalidInput::new("/planner", "only scripted runs are planned here").into());
        };
        let plan: Plan = serde_json::from_str(self.commands.text_of(content).await?.as_str())
            .map_err(|error| InvalidInput::new("/plan", error.to_string()))?;
        let mut step = ScriptedPlanner::new(plan).next(run, &results);
        let propose = match step.call.take() {
            Some(call) => match self.proposal(key, &call).await {
                Ok(propose) => Some(Box::new(propose)),
                Err(CommandError::Invalid(error)) => {
                    let reason = format!("step `{}`: {error}", call.label);
                    step = Step { proposal: Proposal::GiveUp { reason }, call: None };
                    None
                }
                Err(other) => return Err(other),
            },
            None => None,
        };
        let blobs = propose.iter().filter_map(|propose| Content::json(propose.arguments.clone()).1).collect();
        let planner = "scripted".to_owned();
        let consultation =
            Consultation { step: run.steps() + 1, planner, perceived, proposal: step.proposal, tokens: 0 };
        let on_behalf_of =
            propose.as_ref().and_then(|propose| Some((run.principal()?.clone(), propose.tool.name.clone())));
        Ok(self.record_for(key, Act::Consult(consultation, propose), blobs, on_behalf_of).await?.state)
    }

    async fn proposal(&self, key: &RunKey, call: &PlannedCall) -> Result<Propose, CommandError> {
        let wanted = Wanted {
            tenant: &key.tenant,
            label: call.label.clone(),
            tool: &call.tool,
            arguments: &call.arguments,
            approval_ttl_us: self.commands.approval_ttl_us(),
        };
        self.commands.catalog().proposal(wanted).await
    }

    /// What the planner may see of earlier steps.
    async fn results(&self, run: &Run) -> Result<std::collections::BTreeMap<String, Value>, CommandError> {
        let mut results = std::collections::BTreeMap::new();
        for (label, result) in run.results() {
            let output = match &result.output {
                Some(content) => self.commands.text_of(content).await?.value(),
                None => Ok(Value::Null),
            };
            let output = output.map_err(|error| InvalidInput::new("/output", error.to_string()))?;
            let seen = json!({"output": output, "reasons": result.reasons, "status": result.status});
            results.insert(label.clone(), seen);
        }
        Ok(results)
    }

    /// Records what happened, as the worker.
    pub(super) async fn record(&self, key: &RunKey, act: Act, blobs: Vec<Blob>) -> Result<Executed<Run>, CommandError> {
        self.record_for(key, act, blobs, None).await
    }

    /// As [`Worker::record`], counted for `principal`.
    async fn record_for(
        &self,
        key: &RunKey,
        act: Act,
        blobs: Vec<Blob>,
        on_behalf_of: Option<(Principal, String)>,
    ) -> Result<Executed<Run>, CommandError> {
        let metadata = self.commands.system_metadata("system:worker", &key.run);
        let (tenant, aggregate_id) = (key.tenant.clone(), key.run.clone());
        let request = Request { tenant, aggregate_id, act, intent: None, on_behalf_of, blobs, metadata, key: None };
        self.commands.executor().execute::<Run>(request).await
    }
}
