//! What a reader wants to see. Whose events they are is no wish: it comes from the token.

use schemars::JsonSchema;
use serde::Deserialize;
use xagent_domain::{RunId, Tenant};
use xagent_ledger::{Ledger, LedgerError};

use super::item::Item;
use crate::problem::Problem;
use crate::rest::extract::invalid;

/// Names of event types asked for at most.
const TYPES: usize = 50;

/// The query of both routes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// The first position of interest; from now on where it is missing.
    pub from: Option<u64>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Of runs of this agent.
    pub agent: Option<String>,
    /// Of these types, separated by commas.
    #[serde(rename = "type")]
    pub types: Option<String>,
    /// Decisions that came out so.
    pub decision: Option<Verdict>,
    /// About calls of this tool.
    pub tool: Option<String>,
}

/// How a decision came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may go on.
    Allow,
    /// It may not.
    Deny,
    /// It may once somebody approves.
    Approval,
}

/// A wish of a tenant.
pub struct Filter {
    tenant: Tenant,
    run: Option<String>,
    agent: Option<String>,
    types: Vec<String>,
    decision: Option<Verdict>,
    tool: Option<String>,
}

impl Filter {
    /// The wish, within a tenant.
    pub fn new(tenant: Tenant, wish: Wish) -> Result<Self, Problem> {
        let types: Vec<_> = wish.types.iter().flat_map(|types| types.split(',')).map(str::to_owned).collect();
        if let Some(wrong) =
            types.iter().find(|name| name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()))
        {
            return Err(invalid("type", &format!("`{wrong}` is no type of event; one is for example `DecisionMade`")));
        }
        if types.len() > TYPES {
            return Err(invalid("type", &format!("{} types are asked for; the most is {TYPES}", types.len())));
        }
        let run = wish.run.map(|run| run.to_string());
        Ok(Self { tenant, run, agent: wish.agent, types, decision: wish.decision, tool: wish.tool })
    }

    /// Whether the event is wanted. What needs the ledger is asked last, and only of events of the tenant.
    pub async fn passes(&self, item: &Item, ledger: &Ledger) -> Result<bool, LedgerError> {
        if !self.is_near(item) || self.decision.is_some_and(|wanted| item.verdict() != Some(wanted)) {
            return Ok(false);
        }
        if self.agent.is_none() && self.tool.is_none() {
            return Ok(true);
        }
        let about = item.about(ledger).await?;
        let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        Ok(is(&self.agent, &about.agent) && is(&self.tool, &about.tool))
    }

    fn is_near(&self, item: &Item) -> bool {
        let of_run = |run: &String| item.aggregate_type == "run" && item.aggregate_id == *run;
        item.tenant == self.tenant
            && self.run.as_ref().is_none_or(of_run)
            && (self.types.is_empty() || self.types.contains(&item.event_type))
    }
}
