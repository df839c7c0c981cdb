//! The policy input: a pure function of run state, command and recorded context.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::governed::Refusal;
use crate::run::{Approval, Call, Resources, Run, ToolFacts};
use crate::{CanonicalJson, Context, Inquiry, Intent, Principal, Question, Tenant, without_floats};

#[derive(Serialize)]
struct CommandInput<'a> {
    tenant: &'a Tenant,
    principal: &'a Principal,
    command: CommandFacts<'a>,
    run: Option<OwnedRun<'a>>,
    approval: Option<AskedApproval<'a>>,
    context: &'a Context,
}

#[derive(Serialize)]
struct CommandFacts<'a> {
    name: &'a str,
    aggregate: &'a str,
    id: &'a str,
    attributes: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct OwnedRun<'a> {
    id: String,
    principal: &'a str,
    agent: &'a str,
    status: &'static str,
}

#[derive(Serialize)]
struct AskedApproval<'a> {
    id: String,
    requested_by: &'a str,
    tool: &'a str,
    risk: &'a str,
    expires_at_us: i64,
}

/// The question whether `intent` may be carried out, on the state of `run` where it is about one.
pub fn command_inquiry(run: Option<&Run>, intent: &Intent, context: &Context) -> Result<Inquiry, Refusal> {
    let run = run.filter(|run| run.exists());
    let approval = run.and_then(|run| {
        let id = intent.attributes.get("approval")?.parse().ok()?;
        let approval = run.approval(&id)?;
        let call = run.call(&approval.call)?;
        Some(AskedApproval {
            id: id.to_string(),
            requested_by: run.principal_id(),
            tool: &call.tool.name,
            risk: &call.tool.risk,
            expires_at_us: approval.expires_at_us,
        })
    });
    let input = CommandInput {
        tenant: &intent.principal.tenant,
        principal: &intent.principal,
        command: CommandFacts {
            name: &intent.name,
            aggregate: &intent.aggregate,
            id: &intent.id,
            attributes: &intent.attributes,
        },
        run: run.map(|run| OwnedRun {
            id: run.id_text(),
            principal: run.principal_id(),
            agent: run.agent(),
            status: run.status().as_str(),
        }),
        approval,
        context,
    };
    Ok(Inquiry { question: Question::Command(intent.clone()), input: canonical(&input)? })
}

#[derive(Serialize)]
struct ToolInput<'a> {
    tenant: &'a Tenant,
    principal: &'a Principal,
    run: RunFacts<'a>,
    tool: &'a ToolFacts,
    call: CallFacts,
    arguments: Value,
    resources: &'a Resources,
    approval: Option<GrantedApproval<'a>>,
    context: &'a Context,
}

#[derive(Serialize)]
struct RunFacts<'a> {
    id: String,
    agent: &'a str,
    goal: &'a str,
    status: &'static str,
    tainted: bool,
    tool_calls: &'a crate::run::Tally,
}

#[derive(Serialize)]
struct CallFacts {
    id: String,
    arguments_digest: String,
}

#[derive(Serialize)]
struct GrantedApproval<'a> {
    id: String,
    granted_by: &'a str,
    arguments_digest: String,
    expires_at_us: i64,
}

/// The question whether `call` may be run, with `arguments` as its digest names them.
pub fn tool_inquiry(run: &Run, call: &Call, arguments: &CanonicalJson, context: &Context) -> Result<Inquiry, Refusal> {
    let principal = run.principal().ok_or_else(|| Refusal::conflict("run_not_started", "the run has not started"))?;
    let granted = call.approval.and_then(|id| Some((id, run.approval(&id)?)));
    let granted = granted.and_then(|(id, approval)| Some((id, approval, approval.granted_by()?)));
    let input = ToolInput {
        tenant: &principal.tenant,
        principal,
        run: RunFacts {
            id: run.id_text(),
            agent: run.agent(),
            goal: run.goal_text(),
            status: run.status().as_str(),
            tainted: run.tainted(),
            tool_calls: run.tally(),
        },
        tool: &call.tool,
        call: CallFacts { id: call.id.to_string(), arguments_digest: call.arguments_digest.to_string() },
        arguments: without_floats(arguments.value().map_err(|e| Refusal::Input(e.to_string()))?),
        resources: &call.resources,
        approval: granted.map(|(id, approval, by)| granted_facts(id.to_string(), approval, by)),
        context,
    };
    let approval = input.approval.is_some().then_some(call.approval).flatten();
    Ok(Inquiry { question: Question::ToolCall { call: call.id, approval }, input: canonical(&input)? })
}

fn granted_facts<'a>(id: String, approval: &'a Approval, granted_by: &'a str) -> GrantedApproval<'a> {
    GrantedApproval {
        id,
        granted_by,
        arguments_digest: approval.arguments_digest.to_string(),
        expires_at_us: approval.expires_at_us,
    }
}

fn canonical(input: &impl Serialize) -> Result<CanonicalJson, Refusal> {
    CanonicalJson::of(input).map_err(|error| Refusal::Input(error.to_string()))
}
