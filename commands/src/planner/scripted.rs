//! The scripted planner: the next step of a plan file, with earlier results filled in.

use std::collections::BTreeSet;

use serde_json::Value;
use xagent_domain::run::{CallStatus, Plan, PlanStep, Proposal, Run};

use super::template::{self, Results};
use crate::InvalidInput;

const MAX_STEPS: usize = 10_000;

/// A planner over one plan.
pub(crate) struct ScriptedPlanner {
    plan: Plan,
}

/// A call the planner wants made.
pub(crate) struct PlannedCall {
    pub label: String,
    pub tool: String,
    pub arguments: Value,
}

/// What the planner says: a proposal and, where it is a call, its content.
pub(crate) struct Step {
    pub proposal: Proposal,
    pub call: Option<PlannedCall>,
}

impl ScriptedPlanner {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan }
    }

    /// The next step after those whose results the run has recorded.
    pub(crate) fn next(&self, run: &Run, results: &Results) -> Step {
        if let Some(failed) = self.failed_requirement(run) {
            return give_up(format!("the required step `{failed}` did not succeed"));
        }
        match self.plan.steps.iter().find(|step| !run.results().contains_key(&step.id)) {
            Some(step) => propose(step, results),
            None => Step { proposal: Proposal::Achieved { summary: summary(run) }, call: None },
        }
    }

    fn failed_requirement(&self, run: &Run) -> Option<&str> {
        let failed = |step: &&PlanStep| {
            step.required && run.results().get(&step.id).is_some_and(|r| r.status != CallStatus::Succeeded)
        };
        self.plan.steps.iter().find(failed).map(|step| step.id.as_str())
    }
}

fn propose(step: &PlanStep, results: &Results) -> Step {
    match template::fill(&step.arguments, results) {
        Ok(arguments) => {
            let (label, tool) = (step.id.clone(), step.tool.clone());
            let proposal = Proposal::CallTool { label: label.clone(), tool: tool.clone() };
            Step { proposal, call: Some(PlannedCall { label, tool, arguments }) }
        }
        Err(error) => give_up(format!("step `{}`: {error}", step.id)),
    }
}

fn give_up(reason: String) -> Step {
    Step { proposal: Proposal::GiveUp { reason }, call: None }
}

fn summary(run: &Run) -> String {
    let count = |status| run.results().values().filter(|result| result.status == status).count();
    format!(
        "{} steps: {} succeeded, {} failed, {} denied, {} refused, {} interrupted",
        run.results().size(),
        count(CallStatus::Succeeded),
        count(CallStatus::Failed),
        count(CallStatus::Denied),
        count(CallStatus::Refused),
        count(CallStatus::Interrupted),
    )
}

/// Checks a plan before a run is started on it: names are unique and references point backwards.
pub fn check_plan(plan: &Plan) -> Result<(), InvalidInput> {
    if plan.steps.is_empty() || plan.steps.len() > MAX_STEPS {
        return Err(InvalidInput::new("/plan/steps", format!("a plan has 1 to {MAX_STEPS} steps")));
    }
    let mut seen = BTreeSet::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let at = format!("/plan/steps/{index}");
        let plain = !step.id.is_empty() && step.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !plain {
            return Err(InvalidInput::new(
                format!("{at}/id"),
                format!("`{}`: use letters, digits, `_` and `-`", step.id),
            ));
        }
        if let Some(unknown) = template::references(&step.arguments).into_iter().find(|name| !seen.contains(name)) {
            let message = format!("`{{{{{unknown}...}}}}` names no earlier step");
            return Err(InvalidInput::new(format!("{at}/arguments"), message));
        }
        if !seen.insert(step.id.clone()) {
            return Err(InvalidInput::new(
                format!("{at}/id"),
                format!("`{}` is already the id of an earlier step", step.id),
            ));
        }
    }
    Ok(())
}
