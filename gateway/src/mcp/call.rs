//! `tools/call`: decided, recorded, executed by a worker, answered.

use rmcp::model::{CallToolRequestParams, CallToolResult, ErrorData};
use serde_json::Value;
use xagent_commands::{Asked as AskedBefore, Caller, CommandError, Followed, ProposedCall, ToolRequest};
use xagent_domain::RunId;
use xagent_domain::governed::Refusal;
use xagent_domain::run::{CallStatus, Executor};

use super::door::{Asked, Door, protocol_error};
use super::said::About;

/// A call on its way through the door.
struct Wanted {
    caller: Caller,
    tool: String,
    arguments: Value,
    of_upstream: bool,
}

impl Door {
    /// Carries out one call. A refusal is the tool's error, in words for the model that called it.
    pub async fn call(&self, asked: Asked, request: CallToolRequestParams) -> Result<CallToolResult, ErrorData> {
        let named = asked.named("x-agent-run", "xagent/run")?;
        let workspace = asked.named("x-agent-workspace", "xagent/workspace")?;
        let wanted = self.wanted(asked.caller, request).await?;
        if let Some(run) = named {
            let run = run.parse().map_err(|error| ErrorData::invalid_params(format!("xagent/run: {error}"), None))?;
            return self.answer(&wanted, run).await.or_else(said);
        }
        let (client, workspace) = (asked.client, workspace.as_deref());
        match self.in_open_run(&wanted, &client, workspace).await {
            // The run was ended by somebody: the call belongs to the next one.
            Err(CommandError::Refused(Refusal::Conflict { code: "run_status", .. })) => {
                self.in_open_run(&wanted, &client, workspace).await.or_else(said)
            }
            answered => answered.or_else(said),
        }
    }

    async fn wanted(&self, caller: Caller, request: CallToolRequestParams) -> Result<Wanted, ErrorData> {
        let tool = request.name.into_owned();
        let registration = self.commands.catalog().registration(&caller.principal.tenant, &tool).await;
        let unknown = || ErrorData::invalid_params(format!("there is no tool `{tool}`; see tools/list"), None);
        let registration = registration.map_err(protocol_error)?.ok_or_else(unknown)?;
        if registration.executor == Executor::Client {
            let message = format!("the tool `{tool}` runs at the client that proposes it over REST, not here");
            return Err(ErrorData::invalid_params(message, None));
        }
        let of_upstream = registration.executor == Executor::Upstream;
        Ok(Wanted { caller, tool, arguments: Value::Object(request.arguments.unwrap_or_default()), of_upstream })
    }

    async fn in_open_run(
        &self,
        wanted: &Wanted,
        client: &str,
        workspace: Option<&str>,
    ) -> Result<CallToolResult, CommandError> {
        let run = self.runs.of(&wanted.caller, client, workspace).await?;
        let answered = self.answer(wanted, run).await;
        if let Err(CommandError::Refused(Refusal::Conflict { code: "run_status", .. })) = &answered {
            self.runs.forget(run);
        }
        answered
    }

    async fn answer(&self, wanted: &Wanted, run: RunId) -> Result<CallToolResult, CommandError> {
        // A key names the call; without one, equal arguments name the one that asked for an approval.
        if wanted.caller.key.is_none() {
            let named = (wanted.tool.as_str(), &wanted.arguments);
            let before = tokio::select! {
                () = self.stop.cancelled() => return Ok(stopping(run)),
                before = self.commands.asked_before(&wanted.caller, run, named, self.patience) => before?,
            };
            if let Some(before) = before {
                return Ok(self.again(wanted, run, before));
            }
        }
        let request = ToolRequest { tool: wanted.tool.clone(), arguments: wanted.arguments.clone(), label: None };
        let proposed = self.commands.propose(&wanted.caller, run, request).await?;
        self.outcome(wanted, run, proposed).await
    }

    /// What there is to say of an earlier call with the same arguments that asked for an approval.
    fn again(&self, wanted: &Wanted, run: RunId, before: AskedBefore) -> CallToolResult {
        let about = About { run: Some(run), ..About::default() };
        match before {
            AskedBefore::Waits { approval, question } => {
                About { call: Some(question.call), ..about }.waits(approval, &[], Some(&question))
            }
            AskedBefore::Ended { approval, question, end } => {
                About { call: Some(question.call), approval: Some(approval), ..about }.ended(end, wanted.of_upstream)
            }
            AskedBefore::UnderWay { approval, question } => {
                About { call: Some(question.call), approval: Some(approval), ..about }.under_way(self.patience)
            }
        }
    }

    async fn outcome(
        &self,
        wanted: &Wanted,
        run: RunId,
        proposed: ProposedCall,
    ) -> Result<CallToolResult, CommandError> {
        let about = About {
            run: Some(run),
            call: Some(proposed.call),
            decision: proposed.decision,
            approval: proposed.approval,
        };
        match (proposed.status, proposed.approval) {
            (CallStatus::Denied, _) => return Ok(about.refused(&proposed.deny)),
            (CallStatus::AwaitingApproval, Some(approval)) => return Ok(about.waits(approval, &proposed.deny, None)),
            _ => {}
        }
        let followed = Followed {
            run,
            call: proposed.call,
            approval: proposed.approval,
            sequence: proposed.receipt.sequence,
            position: proposed.receipt.last_position,
        };
        let tenant = &wanted.caller.principal.tenant;
        let end = tokio::select! {
            () = self.stop.cancelled() => None,
            end = self.commands.end_of_call(tenant, followed, self.patience) => end?,
        };
        Ok(end.map_or_else(|| about.under_way(self.patience), |end| about.ended(end, wanted.of_upstream)))
    }
}

/// Nothing was begun.
fn stopping(run: RunId) -> CallToolResult {
    let about = About { run: Some(run), ..About::default() };
    about.error("The server is stopping. Nothing new was begun: call again in a moment.")
}

/// What a model can do something about is the tool's error; the rest is the protocol's.
fn said(error: CommandError) -> Result<CallToolResult, ErrorData> {
    match error {
        CommandError::Denied(decision) => Ok(About::default().denied(&decision)),
        CommandError::Invalid(error) => Ok(About::default().error(format!(
            "The arguments do not fit: {}: {}. Correct them and call again; the tool did not run.",
            error.field, error.message
        ))),
        CommandError::Refused(refusal @ Refusal::Conflict { .. }) => {
            Ok(About::default().error(format!("The call cannot be made: {refusal}. The tool did not run.")))
        }
        other => Err(protocol_error(other)),
    }
}
