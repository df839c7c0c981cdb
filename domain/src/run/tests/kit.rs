//! The three words of a specification, and values to say things with.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::governed::{Command, Governed, Refusal};
use crate::run::{
    Act, Executor, Plan, PlannerSpec, Priority, Propose, Resources, Run, RunEvent, Start, ToolFacts, ToolOutcome,
};
use crate::{
    ApprovalId, CallId, CanonicalJson, Content, Context, Decider, DecisionId, Digest, EngineIdentity, Entrypoint,
    Evaluation, GoalId, Inquiry, Intent, Limits, Outcome, Principal, Ruling, RunId, Usage,
};

pub const NOW: i64 = 1_000_000;

/// What the law answers, per kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    Allow,
    Deny,
    Approval,
}

pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub fn call(number: u128) -> CallId {
    CallId::new(id(number))
}

pub fn approval(number: u128) -> ApprovalId {
    ApprovalId::new(id(number))
}

pub fn context(now_us: i64) -> Context {
    Context::new(now_us, Usage::default())
}

pub fn principal(name: &str) -> Principal {
    let tenant = crate::Tenant::default_tenant();
    Principal { id: name.to_owned(), tenant, scopes: BTreeSet::new(), roles: BTreeSet::new() }
}

pub fn intent(name: &str, by: &str) -> Intent {
    let (aggregate, id) = ("run".to_owned(), RunId::new(id(1)).to_string());
    Intent { name: name.to_owned(), principal: principal(by), aggregate, id, attributes: Default::default() }
}

pub fn tool(executor: Executor, idempotent: bool) -> ToolFacts {
    ToolFacts {
        name: "tool".to_owned(),
        digest: Digest::of(b"tool"),
        risk: "low".to_owned(),
        idempotent,
        consequential: false,
        reads_untrusted: true,
        executor,
        trusted_source: false,
        roles: Default::default(),
    }
}

pub fn arguments() -> CanonicalJson {
    CanonicalJson::parse("{\"a\":1.5}").unwrap()
}

pub fn propose(number: u128, tool: ToolFacts) -> Propose {
    Propose {
        call: call(number),
        approval: approval(number),
        approval_ttl_us: 100,
        label: format!("step{number}"),
        tool,
        arguments: arguments(),
        resources: Resources::default(),
        values: Vec::new(),
    }
}

pub fn start(planner: PlannerSpec) -> Act {
    Act::Start(Start {
        run: RunId::new(id(1)),
        agent: "agent".to_owned(),
        goal: GoalId::new(id(2)),
        goal_text: "goal".to_owned(),
        planner,
        workspace: None,
        priority: Priority::Normal,
    })
}

pub fn scripted() -> PlannerSpec {
    let plan = CanonicalJson::of(&Plan { steps: Vec::new() }).unwrap();
    PlannerSpec::Scripted(Content::json(plan).0)
}

pub fn outcome(succeeded: bool) -> ToolOutcome {
    ToolOutcome { succeeded, output: Content::json(CanonicalJson::parse("{}").unwrap()).0, recording: None }
}

pub fn start_call(number: u128) -> Act {
    Act::StartCall { call: call(number), arguments: arguments() }
}

pub fn complete(number: u128) -> Act {
    Act::CompleteCall { call: call(number), outcome: outcome(true), duration_us: 1 }
}

/// The law's answer to a question.
pub fn ruling(number: u128, inquiry: &Inquiry, says: Says) -> Ruling {
    let document = match says {
        Says::Allow => r#"{"allow":true,"deny":[],"obligations":[]}"#,
        Says::Deny => r#"{"allow":false,"deny":[{"code":"no"}],"obligations":[]}"#,
        Says::Approval => {
            r#"{"allow":false,"deny":[{"code":"approval_required"}],"obligations":[{"type":"approval","reason":"risky"}]}"#
        }
    };
    let engine = EngineIdentity { name: "test".to_owned(), version: "1".to_owned(), mode: "test".to_owned() };
    let evaluation = Evaluation {
        entrypoint: inquiry.question.entrypoint(),
        bundle: Digest::of(b"bundle"),
        data: Some(Digest::of(b"{}")),
        engine,
        limits: Limits { timeout_ms: 1 },
        outcome: Outcome::Document(CanonicalJson::recorded(document.to_owned())),
        duration_us: 1,
    };
    Ruling { decision: DecisionId::new(id(number)), input: Content::json(inquiry.input.clone()).0, evaluation }
}

/// A run, by what happened to it.
#[derive(Default)]
pub struct Given {
    pub run: Run,
    now: i64,
    decisions: u128,
}

/// What came of a command.
pub struct Then(pub Result<Vec<RunEvent>, Refusal>);

impl Given {
    /// Nothing has happened yet.
    pub fn nothing() -> Self {
        Self { now: NOW, ..Self::default() }
    }

    /// A run that its client drives.
    pub fn client_run() -> Self {
        Self::nothing().after(start(PlannerSpec::Client))
    }

    /// A run on a plan.
    pub fn scripted_run() -> Self {
        Self::nothing().after(start(scripted()))
    }

    /// The law allows this, and it happened.
    pub fn after(self, act: Act) -> Self {
        self.after_said(act, Says::Allow)
    }

    pub fn after_said(mut self, act: Act, tools: Says) -> Self {
        let events = self.decide(act, Says::Allow, tools).unwrap();
        events.iter().for_each(|event| self.run.evolve(event));
        self
    }

    pub fn later(mut self, by_us: i64) -> Self {
        self.now += by_us;
        self
    }

    pub fn when(mut self, act: Act) -> Then {
        Then(self.decide(act, Says::Allow, Says::Allow))
    }

    pub fn when_said(mut self, act: Act, api: Says, tools: Says) -> Then {
        Then(self.decide(act, api, tools))
    }

    pub fn decide(&mut self, act: Act, api: Says, tools: Says) -> Result<Vec<RunEvent>, Refusal> {
        let by_principal = !matches!(
            act,
            Act::Consult(..)
                | Act::Plan(..)
                | Act::ProposePlanned(_)
                | Act::RejectPlanned { .. }
                | Act::StartCall { .. }
                | Act::CompleteCall { .. }
                | Act::MissRecording { .. }
                | Act::InterruptCall { .. }
        );
        let by = if matches!(act, Act::Grant { .. } | Act::Refuse { .. }) { "bob" } else { "alice" };
        let intent = by_principal.then(|| intent("some.command", by));
        let context = context(self.now);
        let inquiries = self.run.inquiries(&act, intent.as_ref(), &context)?;
        let mut rulings = Vec::new();
        for inquiry in &inquiries {
            self.decisions += 1;
            let says = if inquiry.question.entrypoint() == Entrypoint::api() { api } else { tools };
            rulings.push(ruling(1000 + self.decisions, inquiry, says));
        }
        self.run.decide(&Command { act, intent, context, rulings })
    }
}

impl Then {
    /// Exactly these events, by name.
    #[track_caller]
    pub fn then(self, names: &[&str]) -> Vec<RunEvent> {
        use crate::Event;
        let events = self.0.unwrap();
        assert_eq!(events.iter().map(RunEvent::event_type).collect::<Vec<_>>(), names);
        events
    }

    /// A conflict with this code.
    #[track_caller]
    pub fn then_conflict(self, expected: &str) {
        match self.0 {
            Err(Refusal::Conflict { code, .. }) => assert_eq!(code, expected),
            other => panic!("{other:?}"),
        }
    }
}
