//! Commands to tools.

use serde_json::json;
use xagent_domain::run::Executor;
use xagent_domain::tool::{Registration, Tool, ToolAct};

use super::runs::{LONGEST_TEXT, check_text};
use super::{Caller, Commands, Done, Subject};
use crate::tool::check_registration;
use crate::{Catalog, CommandError, InvalidInput};

impl Commands {
    /// Registers a tool for the caller's tenant, or changes its registration.
    pub async fn register_tool(&self, caller: &Caller, tool: Registration) -> Result<Done, CommandError> {
        if tool.source.is_some() || tool.executor == Executor::Upstream {
            let message = "tools of upstreams are registered by discovery: see POST /v1/upstreams/NAME/discover";
            return Err(InvalidInput::new("/executor", message).into());
        }
        self.register(caller, tool).await
    }

    pub(super) async fn register(&self, caller: &Caller, tool: Registration) -> Result<Done, CommandError> {
        check_registration(&tool)?;
        let id = Catalog::aggregate_id(&caller.principal.tenant, &tool.name);
        let attributes = vec![("risk", tool.risk.clone()), ("tool", tool.name.clone())];
        let subject = Subject { name: "tool.register", id, attributes, body: json!({"tool": tool.digest()?}) };
        let act = ToolAct::Register(Box::new(tool));
        let executed = self.carry_out::<Tool>(caller, subject, act, Vec::new()).await?;
        Ok(Done { receipt: executed.receipt })
    }

    /// Retires a tool of the caller's tenant.
    pub async fn retire_tool(&self, caller: &Caller, name: &str, reason: String) -> Result<Done, CommandError> {
        check_text("/reason", &reason, LONGEST_TEXT)?;
        let id = Catalog::aggregate_id(&caller.principal.tenant, name);
        let body = json!({"name": name, "reason": reason});
        let subject = Subject { name: "tool.retire", id, attributes: vec![("tool", name.to_owned())], body };
        let executed = self.carry_out::<Tool>(caller, subject, ToolAct::Retire { reason }, Vec::new()).await?;
        Ok(Done { receipt: executed.receipt })
    }
}
