//! How much may be at work at once, over all workers of a ledger. Each tenant has these limits for itself.

use std::collections::BTreeMap;

use xagent_domain::Tenant;
use xagent_domain::run::Run;
use xagent_ledger::{Lease, LedgerError};

use super::{RunKey, Worker};

/// Limits by name. All workers of a ledger are to have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Runs of an agent walked at once.
    pub agents: BTreeMap<String, u32>,
    /// Calls of a tool under way at once.
    pub tools: BTreeMap<String, u32>,
}

/// A place under a limit, for as long as it is held.
pub(super) enum Place {
    /// There is no limit.
    Unlimited,
    /// One of the places.
    Held(#[expect(dead_code, reason = "it is held until it is dropped")] Lease),
}

impl Limits {
    /// How many runs of an agent may be walked at once; none where that is not limited.
    pub fn agent(&self, agent: &str) -> Option<u32> {
        self.agents.get(agent).copied()
    }

    /// How many calls of a tool may be under way at once; none where that is not limited.
    pub fn tool(&self, tool: &str) -> Option<u32> {
        self.tools.get(tool).copied()
    }
}

impl Worker {
    /// A place among the runs of the run's agent, if there is one.
    pub(super) async fn place_of_agent(&self, key: &RunKey, run: &Run) -> Result<Option<Place>, LedgerError> {
        self.place("agent", &key.tenant, run.agent(), self.options.limits.agent(run.agent())).await
    }

    /// A place among the calls of a tool, if there is one.
    pub(super) async fn place_of_tool(&self, tenant: &Tenant, tool: &str) -> Result<Option<Place>, LedgerError> {
        self.place("tool", tenant, tool, self.options.limits.tool(tool)).await
    }

    async fn place(
        &self,
        what: &str,
        tenant: &Tenant,
        name: &str,
        places: Option<u32>,
    ) -> Result<Option<Place>, LedgerError> {
        let Some(places) = places else { return Ok(Some(Place::Unlimited)) };
        let held = self.commands.ledger().place(&format!("limit/{what}/{tenant}/{name}"), places).await?;
        Ok(held.map(Place::Held))
    }
}
