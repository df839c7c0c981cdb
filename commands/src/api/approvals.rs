//! A person's answer to a call that waits for one.

use serde_json::json;
use xagent_domain::ApprovalId;
use xagent_domain::governed::Refusal;
use xagent_domain::run::{Act, Run};

use super::runs::{LONGEST_TEXT, check_text};
use super::{Caller, Commands, Done, Subject};
use crate::CommandError;

impl Commands {
    /// Approves the call that asked for `approval`.
    pub async fn grant(&self, caller: &Caller, approval: ApprovalId) -> Result<Done, CommandError> {
        self.answer(caller, "approval.grant", approval, Act::Grant { approval }, "").await
    }

    /// Refuses the call that asked for `approval`.
    pub async fn refuse(&self, caller: &Caller, approval: ApprovalId, reason: String) -> Result<Done, CommandError> {
        check_text("/reason", &reason, LONGEST_TEXT)?;
        let act = Act::Refuse { approval, reason: reason.clone() };
        self.answer(caller, "approval.refuse", approval, act, &reason).await
    }

    async fn answer(
        &self,
        caller: &Caller,
        name: &str,
        approval: ApprovalId,
        act: Act,
        reason: &str,
    ) -> Result<Done, CommandError> {
        let missing = || Refusal::NotFound { what: "approval", id: approval.to_string() };
        let run = self.ledger().run_of_approval(&caller.principal.tenant, &approval).await?.ok_or_else(missing)?;
        let attributes = vec![("approval", approval.to_string())];
        let subject = Subject { name, id: run, attributes, body: json!({"approval": approval, "reason": reason}) };
        let executed = self.carry_out::<Run>(caller, subject, act, Vec::new()).await?;
        Ok(Done { receipt: executed.receipt })
    }
}
