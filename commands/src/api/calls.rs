//! Tool calls proposed from outside.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use xagent_domain::governed::Refusal;
use xagent_domain::run::{Act, Call, CallStatus, Run, RunEvent, ToolOutcome};
use xagent_domain::{ApprovalId, CallId, CanonicalJson, Content, DecisionId, DecisionMade, Question, Reason, RunId};
use xagent_ledger::Receipt;

use super::runs::check_text;
use super::{Caller, Commands, Done, Subject, intent};
use crate::governed::Executed;
use crate::tool::Wanted;
use crate::{CommandError, InvalidInput, Resolver};

/// A tool call a client wants made.
#[derive(Clone, Debug)]
pub struct ToolRequest {
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub arguments: Value,
    /// The step's name; the tool's where there is none.
    pub label: Option<String>,
}

/// A tool call that was proposed or started, and what the law said.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProposedCall {
    /// The call.
    pub call: CallId,
    /// Where it stands.
    pub status: CallStatus,
    /// The last decision on it.
    pub decision: Option<DecisionId>,
    /// Why it was denied, or what is missing.
    pub deny: Vec<Reason>,
    /// The approval it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// What is promised.
    pub receipt: Receipt,
}

impl Commands {
    /// Proposes a tool call. A denial is an answer, not an error: it is recorded like a permission.
    pub async fn propose(
        &self,
        caller: &Caller,
        run: RunId,
        request: ToolRequest,
    ) -> Result<ProposedCall, CommandError> {
        let label = request.label.unwrap_or_else(|| request.tool.clone());
        check_text("/label", &label, 256)?;
        let recordings = self.only_recordings(&caller.principal.tenant, run).await?;
        let wanted = Wanted {
            resolver: recordings.as_ref().map(|recordings| recordings as &dyn Resolver),
            tenant: &caller.principal.tenant,
            label,
            tool: &request.tool,
            arguments: &request.arguments,
            approval_ttl_us: self.approval_ttl_us(),
        };
        let propose = self.catalog.proposal(wanted).await?;
        let body = json!({"arguments": propose.arguments, "label": propose.label, "run": run, "tool": request.tool});
        let (_, blob) = Content::json(propose.arguments.clone());
        let attributes = vec![("tool", request.tool)];
        let subject = Subject { name: "run.propose", id: run.to_string(), attributes, body };
        let act = Act::Propose(Box::new(propose));
        let executed = self.carry_out::<Run>(caller, subject, act, blob.into_iter().collect()).await?;
        let call = executed.events.iter().find_map(|event| match event.event() {
            RunEvent::ToolCallProposed { call, .. } => Some(*call),
            _ => None,
        });
        let call = call.ok_or_else(|| InvalidInput::new("", "the command recorded no call"))?;
        Ok(proposed(call, executed))
    }

    /// Starts a call that its client executes, once it was approved. It is decided again. Where the client says what it is
    /// about to execute, it must be what was approved.
    pub async fn start_call(
        &self,
        caller: &Caller,
        run: RunId,
        call: CallId,
        executing: Option<Value>,
    ) -> Result<ProposedCall, CommandError> {
        let state = self.ledger().load::<Run>(&caller.principal.tenant, &run.to_string()).await?.state;
        let open = state.call(&call).cloned();
        if open.as_ref().is_some_and(|open| state.is_for_workers(open)) {
            let message = "a worker starts this call: wait for its result";
            return Err(InvalidInput::new("", message).into());
        }
        let canonical = executing.as_ref().map(CanonicalJson::of_value).transpose();
        let executing = canonical.map_err(|error| InvalidInput::new("/arguments", error.to_string()))?;
        let body = json!({"arguments": executing, "call": call, "run": run});
        let attributes = vec![("call", call.to_string())];
        if let Some(open) = &open {
            self.same_tool(caller, run, open, &attributes).await?;
        }
        let arguments = match (executing, open) {
            (Some(arguments), _) => arguments,
            (None, Some(open)) => self.text_of(&open.arguments).await?,
            (None, None) => CanonicalJson::recorded(String::new()),
        };
        let subject = Subject { name: "run.start_call", id: run.to_string(), attributes, body };
        let act = Act::StartCall { call, arguments };
        Ok(proposed(call, self.carry_out::<Run>(caller, subject, act, Vec::new()).await?))
    }

    /// An approved call starts only while the tool is registered as it was approved: under another schema or risk the same
    /// arguments are another act.
    async fn same_tool(
        &self,
        caller: &Caller,
        run: RunId,
        call: &Call,
        attributes: &[(&str, String)],
    ) -> Result<(), CommandError> {
        if call.status != CallStatus::Approved {
            return Ok(());
        }
        let now = self.catalog.registration(&caller.principal.tenant, &call.tool.name).await?;
        if now.map(|tool| tool.digest()).transpose()? == Some(call.tool.digest) {
            return Ok(());
        }
        let message = format!("the tool `{}` is not registered as it was when the call was approved", call.tool.name);
        let refusal = Refusal::Conflict { code: "other_tool", message };
        let intent = intent(caller, "run.start_call", "run", run.to_string(), attributes);
        let metadata = self.metadata(caller, &run.to_string());
        self.executor.record_refusal(&caller.principal.tenant, &intent, &refusal, &metadata).await?;
        Err(refusal.into())
    }

    /// Records the outcome of a call that its client executed, without the values of secrets that this server knows.
    pub async fn post_result(
        &self,
        caller: &Caller,
        run: RunId,
        call: CallId,
        succeeded: bool,
        output: &Value,
        duration_us: u64,
    ) -> Result<Done, CommandError> {
        let output = match &self.options.kit {
            Some(kit) => kit.redacted(output.clone()).await.map_err(|error| InvalidInput::new("/output", error))?,
            None => output.clone(),
        };
        let output = CanonicalJson::of_value(&output).map_err(|e| InvalidInput::new("/output", e.to_string()))?;
        let body = json!({
            "call": call, "duration_us": duration_us, "output": output.digest(), "run": run, "succeeded": succeeded,
        });
        let (output, blob) = Content::json(output);
        let act = Act::CompleteCall { call, outcome: ToolOutcome { succeeded, output, recording: None }, duration_us };
        let attributes = vec![("call", call.to_string())];
        let subject = Subject { name: "run.result", id: run.to_string(), attributes, body };
        let executed = self.carry_out::<Run>(caller, subject, act, blob.into_iter().collect()).await?;
        Ok(Done { receipt: executed.receipt })
    }

    /// The text of a content, inline or from the blob table.
    pub(crate) async fn text_of(&self, content: &Content) -> Result<CanonicalJson, CommandError> {
        self.executor.text_of(content).await
    }
}

fn proposed(call: CallId, executed: Executed<Run>) -> ProposedCall {
    let events = || executed.events.iter().map(|event| event.event());
    let mut made = events().filter_map(|event| match event {
        RunEvent::DecisionMade(made) => Some(&**made),
        _ => None,
    });
    let about =
        |made: &&DecisionMade| matches!(&made.question, Question::ToolCall { call: about, .. } if *about == call);
    let made = made.rfind(about);
    let approval = events().find_map(|event| match event {
        RunEvent::ApprovalRequested { approval, .. } => Some(*approval),
        _ => None,
    });
    ProposedCall {
        call,
        status: executed.state.call_status(&call).unwrap_or(CallStatus::Proposed),
        decision: made.map(|made| made.decision),
        deny: made.map(|made| made.deny.clone()).unwrap_or_default(),
        approval,
        receipt: executed.receipt,
    }
}
