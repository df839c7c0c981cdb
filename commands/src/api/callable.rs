//! Which tools the law would let a caller call.

use serde_json::json;
use uuid::Uuid;
use xagent_domain::governed::{Governed, Refusal};
use xagent_domain::run::{Act, Executor, PlannerSpec, Priority, Propose, Resources, Run, RunEvent};
use xagent_domain::tool::Registration;
use xagent_domain::{
    ApprovalId, CallId, CanonicalJson, Context, Decider, GoalId, Inquiry, Principal, RunId, Usage, command_inquiry,
};

use super::{Caller, Commands, intent};
use crate::CommandError;

/// A page of tools, by name.
#[derive(Clone, Debug)]
pub struct Callable {
    /// The tools.
    pub tools: Vec<Registration>,
    /// Whether there are more after the last of them.
    pub more: bool,
}

impl Commands {
    /// Up to `most` tools after the name `after` that a worker of ours runs and that the law, asked about a call without
    /// arguments in a new run of the caller, does not refuse outright. Nothing is about to happen, so nothing of it is
    /// recorded but a denial to read the list.
    pub async fn callable(&self, caller: &Caller, after: &str, most: usize) -> Result<Callable, CommandError> {
        self.authorise_read(caller, "read.tools", "tool", "").await?;
        let (mut tools, context) = (Vec::new(), self.idle());
        let propose = intent(caller, "run.propose", "run", String::new(), &[]);
        if !self.would_allow(&command_inquiry(None, &propose, &context)?).await {
            return Ok(Callable { tools, more: false });
        }
        let run = new_run(&caller.principal);
        let all = self.catalog.all(&caller.principal.tenant).await?;
        for tool in all.into_iter().filter(|tool| tool.executor != Executor::Client && tool.name.as_str() > after) {
            if !self.would_allow(&hypothetical(&run, &tool, Resources::default(), &context)?).await {
                continue;
            }
            if tools.len() == most {
                return Ok(Callable { tools, more: true });
            }
            tools.push(tool);
        }
        Ok(Callable { tools, more: false })
    }

    /// Circumstances in which no rate is used up: a list does not change with how busy its reader is.
    pub(super) fn idle(&self) -> Context {
        let usage = Usage { this_tool_last_minute: Some(0), ..Usage::default() };
        Context::new(self.executor.now_us(), usage)
    }

    /// Whether the law would let it happen, be it with an approval.
    async fn would_allow(&self, inquiry: &Inquiry) -> bool {
        let (ruling, _) = self.executor.law().ask(inquiry).await;
        let document = ruling.evaluation.outcome.document();
        document.allow || document.obligations.iter().any(|obligation| obligation.kind == "approval")
    }
}

/// A run of the principal in which nothing has happened.
pub(super) fn new_run(principal: &Principal) -> Run {
    let nobody = Uuid::nil();
    let mut run = Run::default();
    run.evolve(&RunEvent::RunStarted {
        run: RunId::new(nobody),
        agent: String::new(),
        principal: principal.clone(),
        planner: PlannerSpec::Client,
        workspace: None,
        priority: Priority::Normal,
    });
    run.evolve(&RunEvent::GoalSet { goal: GoalId::new(nobody), parent: None, text: String::new() });
    run
}

/// The question whether the tool may be called without arguments, touching `resources`.
pub(super) fn hypothetical(
    run: &Run,
    tool: &Registration,
    resources: Resources,
    context: &Context,
) -> Result<Inquiry, CommandError> {
    let arguments = CanonicalJson::of_value(&json!({})).map_err(|error| Refusal::Input(error.to_string()))?;
    let act = Act::Propose(Box::new(Propose {
        call: CallId::new(Uuid::nil()),
        approval: ApprovalId::new(Uuid::nil()),
        approval_ttl_us: 0,
        label: tool.name.clone(),
        tool: tool.facts()?,
        arguments,
        resources,
        values: Vec::new(),
    }));
    let inquiry = run.inquiries(&act, None, context)?.pop();
    inquiry.ok_or_else(|| Refusal::Input("a call of a new run asks nothing".to_owned()).into())
}
