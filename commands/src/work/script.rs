//! Consulting a plan file.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xagent_domain::run::{Act, Consultation, Plan, Proposal, Propose, Run};
use xagent_domain::{CanonicalJson, Content};

use super::{Walk, Worker};
use crate::fork::Answering;
use crate::planner::{PlannedCall, ScriptedPlanner, Step};
use crate::tool::Wanted;
use crate::{CommandError, InvalidInput};

impl Worker {
    /// Records the plan's next step together with the decision on what it proposes.
    pub(super) async fn follow(&self, walk: &Walk, run: &Run, plan: &Content) -> Result<Run, CommandError> {
        let results = self.results(run).await?;
        let perceived = CanonicalJson::of(&results).map_err(|e| InvalidInput::new("/results", e.to_string()))?.digest();
        let plan: Plan = serde_json::from_str(self.commands.text_of(plan).await?.as_str())
            .map_err(|error| InvalidInput::new("/plan", error.to_string()))?;
        let mut step = ScriptedPlanner::new(plan).next(run, &results);
        let propose = match step.call.take() {
            Some(call) => match self.proposal(walk, &call).await {
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
        let (planner, proposal) = ("scripted".to_owned(), step.proposal);
        let consultation =
            Consultation { step: run.steps() + 1, planner, perceived, proposal, tokens: 0, exchange: None };
        let on_behalf_of =
            propose.as_ref().and_then(|propose| Some((run.principal()?.clone(), propose.tool.name.clone())));
        Ok(self.record_for(walk, Act::Consult(consultation, propose), blobs, on_behalf_of).await?.state)
    }

    pub(super) async fn proposal(&self, walk: &Walk, call: &PlannedCall) -> Result<Propose, CommandError> {
        let wanted = Wanted {
            resolver: walk.answering.as_ref().and_then(Answering::resolver),
            tenant: &walk.key.tenant,
            label: call.label.clone(),
            tool: &call.tool,
            arguments: &call.arguments,
            approval_ttl_us: self.commands.approval_ttl_us(),
        };
        self.commands.catalog().proposal(wanted).await
    }

    /// What the planner may see of earlier steps.
    async fn results(&self, run: &Run) -> Result<BTreeMap<String, Value>, CommandError> {
        let mut results = BTreeMap::new();
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
}
