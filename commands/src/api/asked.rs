//! Calls that asked for an approval: found again by their arguments, and their outcome handed over once.

use std::time::Duration;

use serde_json::Value;
use xagent_domain::run::{Approval, ApprovalState, Run, call_digest};
use xagent_domain::{ApprovalId, CanonicalJson, Digest, RunId};
use xagent_ledger::CommandKey;

use super::{CallEnd, Caller, Commands, Followed, intent};
use crate::{CommandError, InvalidInput};

/// Where a call stands that asked for an approval.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Nobody has answered yet.
    Waits {
        /// The approval.
        approval: ApprovalId,
        /// What it was asked for.
        question: Approval,
    },
    /// It was answered, and the call has ended. This is said once.
    Ended {
        /// The approval.
        approval: ApprovalId,
        /// The call it was asked for.
        question: Approval,
        /// How.
        end: CallEnd,
    },
    /// It was granted, and the call has not ended by now.
    UnderWay {
        /// The approval.
        approval: ApprovalId,
        /// The call it was asked for.
        question: Approval,
    },
}

impl Commands {
    /// What became of the last call of `tool` with exactly these arguments that asked for an approval in this run; none
    /// where there is none, or its outcome has been handed over. Who may propose the call may ask.
    pub async fn asked_before(
        &self,
        caller: &Caller,
        run: RunId,
        (tool, arguments): (&str, &Value),
        patience: Duration,
    ) -> Result<Option<Asked>, CommandError> {
        let tenant = &caller.principal.tenant;
        let Some(digest) = self.digest_of_call(caller, tool, arguments).await? else { return Ok(None) };
        let loaded = self.ledger().load::<Run>(tenant, &run.to_string()).await?;
        // Ids are drawn in the order of time, so the last is the latest.
        let latest = loaded.state.approvals().filter(|(_, approval)| approval.arguments_digest == digest).last();
        let Some((approval, question)) = latest.map(|(id, approval)| (*id, approval.clone())) else { return Ok(None) };
        let intent = intent(caller, "run.propose", "run", run.to_string(), &[("tool", tool.to_owned())]);
        let metadata = self.metadata(caller, &run.to_string());
        if question.state == ApprovalState::Waiting {
            if question.expires_at_us <= self.executor.now_us() {
                return Ok(None);
            }
            self.executor.authorise(Some(&loaded.state), &intent, None, &metadata).await?;
            return Ok(Some(Asked::Waits { approval, question }));
        }
        let (call, sequence) = (question.call, loaded.sequence);
        let position = self.ledger().head().await?.position;
        let followed = Followed { run, call, approval: Some(approval), sequence, position };
        let end = match Self::has_ended(&loaded.state, &call) {
            true => self.recorded_end(tenant, followed).await?,
            false => self.end_of_call(tenant, followed, patience).await?,
        };
        let Some(end) = end else { return Ok(Some(Asked::UnderWay { approval, question })) };
        let key = handed_over(&approval)?;
        let first = self.executor.authorise(Some(&loaded.state), &intent, Some(key), &metadata).await?;
        Ok(first.then_some(Asked::Ended { approval, question, end }))
    }

    /// What an approval of such a call would bind to; none where there is no such tool.
    async fn digest_of_call(
        &self,
        caller: &Caller,
        tool: &str,
        arguments: &Value,
    ) -> Result<Option<Digest>, CommandError> {
        let registration = self.catalog.registration(&caller.principal.tenant, tool).await?;
        let Some(registration) = registration else { return Ok(None) };
        let arguments = CanonicalJson::of_value(arguments);
        let arguments = arguments.map_err(|error| InvalidInput::new("/arguments", error.to_string()))?;
        Ok(Some(call_digest(&registration.digest()?, &arguments)))
    }
}

/// The key under which the outcome of an approved call is handed over, so that it is handed over once.
fn handed_over(approval: &ApprovalId) -> Result<CommandKey, InvalidInput> {
    let text = format!("outcome/{approval}");
    let id = text.parse().map_err(|error: xagent_domain::IdError| InvalidInput::new("", error.to_string()))?;
    Ok(CommandKey { id, body: Digest::of(text.as_bytes()) })
}
