//! A run under the law: events folded, inputs built and decisions made by the code that serves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use xagent_domain::governed::{Command, Governed, Refusal};
use xagent_domain::run::{Act, PlannerSpec, Priority, Propose, Resources, Run, RunEvent, Start, ToolOutcome};
use xagent_domain::tool::Registration;
use xagent_domain::{
    ApprovalId, CallId, CanonicalJson, Content, Context, Decider, DecisionId, Digest, Inquiry, Intent, Limits,
    Principal, Reason, Ruling, Tenant, Usage,
};
use xagent_policies::{Bundle, Embedded, PolicyEngine};

/// The clock at the start.
const NOW_US: i64 = 1_700_000_000_000_000;

/// The engine with one bundle.
pub struct Law {
    engine: Embedded,
    bundle: Digest,
}

impl Law {
    /// The stock modules, with `over` laid over the stock data's `config`.
    pub fn stock_with(over: &Value) -> Self {
        let stock = Bundle::stock().unwrap();
        let mut data: Value = serde_json::from_str(stock.data()).unwrap();
        lay(&mut data["config"], over);
        let bundle = Bundle::from_parts(stock.modules().clone(), &data.to_string()).unwrap();
        let engine = Embedded::new(Limits { timeout_ms: 10_000 });
        let bundle = engine.load(&bundle).unwrap();
        Self { engine, bundle }
    }
}

impl Law {
    /// What the law says to a question.
    pub fn answer(&self, inquiry: &Inquiry) -> Said {
        let evaluation = self.engine.decide(&self.bundle, &inquiry.question.entrypoint(), &inquiry.input);
        let document = evaluation.outcome.document();
        let asks_for_approval = !document.obligations.is_empty();
        Said { allow: document.allow, deny: document.deny, asks_for_approval }
    }
}

fn lay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            over.iter().for_each(|(key, value)| lay(under.entry(key).or_insert(Value::Null), value));
        }
        (under, over) => *under = over.clone(),
    }
}

/// What became of a proposed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub allow: bool,
    pub deny: Vec<Reason>,
    pub asks_for_approval: bool,
}

/// One run.
#[derive(Clone)]
pub struct Trial<'a> {
    law: &'a Law,
    pub run: Run,
    pub now_us: i64,
    drawn: u128,
}

pub fn principal(id: &str, scopes: &[&str], roles: &[&str]) -> Principal {
    let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
    Principal { id: id.to_owned(), tenant: Tenant::default_tenant(), scopes: all(scopes), roles: all(roles) }
}

pub fn intent(name: &str, principal: &Principal, attributes: &[(&str, String)]) -> Intent {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Intent {
        name: name.to_owned(),
        principal: principal.clone(),
        aggregate: "run".to_owned(),
        id: "run_1".to_owned(),
        attributes: attributes.collect::<BTreeMap<_, _>>(),
    }
}

impl<'a> Trial<'a> {
    /// A run of `principal` towards `goal`.
    pub fn start(law: &'a Law, principal: &Principal, goal: &str) -> Self {
        let mut trial = Self { law, run: Run::default(), now_us: NOW_US, drawn: 0 };
        let start = Start {
            run: trial.id("run").parse().unwrap(),
            agent: "agent".to_owned(),
            goal: trial.id("goal").parse().unwrap(),
            goal_text: goal.to_owned(),
            planner: PlannerSpec::Client,
            workspace: None,
            priority: Priority::Normal,
        };
        trial.act(Act::Start(start), Some(intent("run.start", principal, &[]))).unwrap();
        trial
    }

    /// Proposes a call as the client does; an allowed one is started and completed with `output`.
    pub fn call(&mut self, tool: &Registration, arguments: &Value, resources: Resources, output: &Value) -> Said {
        let propose = self.proposal(tool, arguments, resources);
        let call = propose.call;
        let events = self.act(Act::Propose(Box::new(propose)), None).unwrap();
        let decision = events.iter().find_map(|event| match event {
            RunEvent::DecisionMade(made) => Some((**made).clone()),
            _ => None,
        });
        let decision = decision.unwrap();
        if decision.allow {
            let output = Content::json(CanonicalJson::of_value(output).unwrap()).0;
            let outcome = ToolOutcome { succeeded: true, output, recording: None };
            self.act(Act::CompleteCall { call, outcome, duration_us: 1 }, None).unwrap();
        }
        let asks_for_approval = decision.asks_for_approval();
        Said { allow: decision.allow, deny: decision.deny, asks_for_approval }
    }

    /// Proposes a call without arguments as `who`, who means it.
    pub fn propose_as(&mut self, who: &Principal, tool: &Registration) -> Vec<RunEvent> {
        let propose = self.proposal(tool, &serde_json::json!({}), Resources::default());
        let intent = intent("run.propose", who, &[("tool", tool.name.clone())]);
        self.act(Act::Propose(Box::new(propose)), Some(intent)).unwrap()
    }

    fn proposal(&mut self, tool: &Registration, arguments: &Value, resources: Resources) -> Propose {
        Propose {
            call: self.id("call").parse::<CallId>().unwrap(),
            approval: self.id("appr").parse::<ApprovalId>().unwrap(),
            approval_ttl_us: 60_000_000,
            label: tool.name.clone(),
            tool: tool.facts().unwrap(),
            arguments: CanonicalJson::of_value(arguments).unwrap(),
            resources,
            values: tool.values(arguments),
        }
    }

    /// Carries out a command under the law and folds what it brings about.
    pub fn act(&mut self, act: Act, intent: Option<Intent>) -> Result<Vec<RunEvent>, Refusal> {
        self.now_us += 1000;
        let usage = Usage { this_tool_last_minute: Some(0), ..Usage::default() };
        let context = Context::new(self.now_us, usage);
        let inquiries = self.run.inquiries(&act, intent.as_ref(), &context)?;
        let mut rulings = Vec::new();
        for inquiry in &inquiries {
            let evaluation = self.law.engine.decide(&self.law.bundle, &inquiry.question.entrypoint(), &inquiry.input);
            let decision: DecisionId = self.id("dec").parse().unwrap();
            rulings.push(Ruling { decision, input: Content::json(inquiry.input.clone()).0, evaluation });
        }
        let events = self.run.decide(&Command { act, intent, context, rulings })?;
        events.iter().for_each(|event| self.run.evolve(event));
        Ok(events)
    }

    pub fn id(&mut self, prefix: &str) -> String {
        self.drawn += 1;
        format!("{prefix}_{:032x}", self.drawn)
    }
}
