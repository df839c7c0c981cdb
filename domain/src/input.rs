//! The policy input: a pure function of run state, command and recorded context.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::governed::Refusal;
use crate::run::{Approval, ArgumentRole, ArgumentUse, Call, Resources, Run, TaintSource, ToolFacts, goal_names};
use crate::{CanonicalJson, Context, Inquiry, Intent, Principal, Question, Tenant, without_floats};

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct CommandInput<'a> {
    #[cfg_attr(test, schemars(with = "String"))]
    tenant: &'a Tenant,
    principal: &'a Principal,
    command: CommandFacts<'a>,
    run: Option<OwnedRun<'a>>,
    approval: Option<AskedApproval<'a>>,
    context: &'a Context,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct CommandFacts<'a> {
    name: &'a str,
    aggregate: &'a str,
    id: &'a str,
    attributes: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct OwnedRun<'a> {
    id: String,
    principal: &'a str,
    agent: &'a str,
    status: &'static str,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct AskedApproval<'a> {
    id: String,
    requested_by: &'a str,
    tool: &'a str,
    risk: &'a str,
    expires_at_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed_by: Option<&'a str>,
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
            proposed_by: context.tells_provenance().then_some(call.proposed_by.as_str()),
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ToolInput<'a> {
    #[cfg_attr(test, schemars(with = "String"))]
    tenant: &'a Tenant,
    principal: &'a Principal,
    run: RunFacts<'a>,
    tool: &'a ToolFacts,
    call: CallFacts,
    arguments: Value,
    resources: &'a Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<ValueFacts<'a>>>,
    approval: Option<GrantedApproval<'a>>,
    context: &'a Context,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RunFacts<'a> {
    id: String,
    agent: &'a str,
    goal: &'a str,
    status: &'static str,
    tainted: bool,
    tool_calls: &'a crate::run::Tally,
    #[serde(skip_serializing_if = "Option::is_none")]
    taint: Option<&'a [TaintSource]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spent: Option<SpentFacts>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct SpentFacts {
    bytes: u64,
    money_micros: i64,
    tokens: u64,
    wall_ms: i64,
}

/// A value somebody must vouch for, and whether the goal or a trusted result does.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ValueFacts<'a> {
    argument: &'a str,
    role: Option<ArgumentRole>,
    value: &'a str,
    normal: String,
    micros: Option<i64>,
    in_goal: bool,
    in_trusted: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct CallFacts {
    id: String,
    arguments_digest: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct GrantedApproval<'a> {
    id: String,
    granted_by: &'a str,
    arguments_digest: String,
    expires_at_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed_by: Option<&'a str>,
}

/// The question whether `call` may be run, with `arguments` as its digest names them.
pub fn tool_inquiry(run: &Run, call: &Call, arguments: &CanonicalJson, context: &Context) -> Result<Inquiry, Refusal> {
    let principal = run.principal().ok_or_else(|| Refusal::conflict("run_not_started", "the run has not started"))?;
    let granted = call.approval.and_then(|id| Some((id, run.approval(&id)?)));
    let granted = granted.and_then(|(id, approval)| Some((id, approval, approval.granted_by()?)));
    let provenance = context.tells_provenance();
    let input = ToolInput {
        tenant: &principal.tenant,
        principal,
        run: RunFacts {
            id: run.id_text(),
            agent: run.agent(),
            goal: run.goal_text(),
            status: run.status().as_str(),
            tainted: if provenance { !run.trust().sources().is_empty() } else { run.tainted() },
            tool_calls: run.tally(),
            taint: provenance.then(|| run.trust().sources()),
            spent: provenance.then(|| spent(run, context)),
        },
        tool: &call.tool,
        call: CallFacts { id: call.id.to_string(), arguments_digest: call.arguments_digest.to_string() },
        arguments: without_floats(arguments.value().map_err(|e| Refusal::Input(e.to_string()))?),
        resources: &call.resources,
        values: provenance.then(|| call.values.iter().map(|value| value_facts(run, value)).collect()),
        approval: granted.map(|(id, approval, by)| GrantedApproval {
            proposed_by: provenance.then_some(call.proposed_by.as_str()),
            ..granted_facts(id.to_string(), approval, by)
        }),
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
        proposed_by: None,
    }
}

fn value_facts<'a>(run: &Run, value: &'a ArgumentUse) -> ValueFacts<'a> {
    ValueFacts {
        argument: &value.argument,
        role: value.role,
        value: &value.value,
        normal: value.value.trim().to_ascii_lowercase(),
        micros: value.micros,
        in_goal: goal_names(run.goal_text(), value),
        in_trusted: run.trust().vouches_for(value),
    }
}

fn spent(run: &Run, context: &Context) -> SpentFacts {
    let spent = run.spent();
    let since = run.started_us().map_or(0, |started| context.now_us.saturating_sub(started));
    SpentFacts {
        bytes: spent.bytes,
        money_micros: spent.money_micros,
        tokens: spent.tokens,
        wall_ms: since.max(0) / 1000,
    }
}

fn canonical(input: &impl Serialize) -> Result<CanonicalJson, Refusal> {
    CanonicalJson::of(input).map_err(|error| Refusal::Input(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{CommandInput, ToolInput};
    use crate::generated::compare;
    use crate::{Context, Principal};

    /// What both kinds of input have in common.
    #[derive(serde::Serialize, schemars::JsonSchema)]
    struct CommonInput {
        tenant: String,
        principal: Principal,
        context: Context,
    }

    fn schema<T: schemars::JsonSchema>(title: &str) -> String {
        let settings =
            schemars::generate::SchemaSettings::draft07().for_serialize().with(|s| s.inline_subschemas = true);
        let mut schema = serde_json::to_value(settings.into_generator().into_root_schema_for::<T>()).unwrap();
        schema["title"] = title.into();
        closed(&mut schema);
        serde_json::to_string_pretty(&schema).unwrap() + "\n"
    }

    /// Objects hold what the type says and nothing else; descriptions stay in the code.
    fn closed(schema: &mut serde_json::Value) {
        match schema {
            serde_json::Value::Object(fields) => {
                fields.remove("description");
                fields.remove("format");
                if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                    fields.insert("additionalProperties".to_owned(), false.into());
                }
                fields.values_mut().for_each(closed);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(closed),
            _ => {}
        }
    }

    #[test]
    fn the_schemas_beside_the_modules_are_those_of_the_inputs() {
        compare("../policies/rego/api.schema.json", &schema::<CommandInput<'_>>("input of xagent/api/decision"));
        compare("../policies/rego/tools.schema.json", &schema::<ToolInput<'_>>("input of xagent/tools/decision"));
        compare("../policies/rego/base.schema.json", &schema::<CommonInput>("what both inputs have in common"));
    }
}
