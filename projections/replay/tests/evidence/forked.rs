//! A small ledger of two runs: one that calls a tool twice, and a fork of it that takes the first call over and is answered
//! by the recording of the second.

use std::collections::BTreeMap;

use serde_json::json;
use xagent_domain::governed::{Command, Governed};
use xagent_domain::run::{
    Act, Executor, Fork, Inherited, Past, PlannerSpec, Priority, Propose, Recording, Resources, Run, RunEvent, Start,
    ToolFacts, ToolOutcome,
};
use xagent_domain::{
    CanonicalJson, Content, Context, Decider, Digest, Inquiry, Intent, Recorded, Ruling, Tenant, Usage,
};
use xagent_policies::{Bundle, Embedded, PolicyEngine};
use xagent_replay::evidence::{Package, RunName};

use crate::kit::{LIMITS, RULE, event, package_under, principal};

/// The run, and its fork.
pub const RUNS: [&str; 2] = ["run_01a20ae0d70b7641ac316fb17cdcdd30", "run_01a20ae0d70b7641ac316fb17cdcdd31"];
const NOW_US: i64 = 1_790_000_000_000_000;

fn law() -> Bundle {
    let modules = [("api.rego", RULE.to_owned()), ("tools.rego", RULE.replace("xagent.api", "xagent.tools"))];
    Bundle::from_parts(modules.map(|(path, text)| (path.to_owned(), text)).into(), "{}").unwrap()
}

/// One of the two runs as it unfolds.
struct Story {
    engine: Embedded,
    id: &'static str,
    run: Run,
    facts: Vec<RunEvent>,
    decisions: u64,
}

impl Story {
    fn new(id: &'static str) -> Self {
        let engine = Embedded::new(LIMITS);
        engine.load(&law()).unwrap();
        Self { engine, id, run: Run::default(), facts: Vec::new(), decisions: 0 }
    }

    fn act(&mut self, act: Act, command: Option<&str>) {
        let intent = command.map(|name| Intent {
            name: name.to_owned(),
            principal: principal(),
            aggregate: "run".to_owned(),
            id: self.id.to_owned(),
            attributes: BTreeMap::new(),
        });
        let context = Context::new(NOW_US, Usage::default());
        let inquiries = self.run.inquiries(&act, intent.as_ref(), &context).unwrap();
        let rulings = inquiries.iter().map(|inquiry| self.ruling(inquiry)).collect();
        let events = self.run.decide(&Command { act, intent, context, rulings }).unwrap();
        events.iter().for_each(|event| self.run.evolve(event));
        self.facts.extend(events);
    }

    fn ruling(&mut self, inquiry: &Inquiry) -> Ruling {
        self.decisions += 1;
        let mut evaluation = self.engine.decide(&law().digest(), &inquiry.question.entrypoint(), &inquiry.input);
        evaluation.duration_us = 100;
        let decision = format!("dec_{}{:04x}", &self.id[8..], self.decisions).parse().unwrap();
        Ruling { decision, input: Content::json(inquiry.input.clone()).0, evaluation }
    }

    /// Calls the tool for the `number`th time; a recording may answer.
    fn call(&mut self, number: u64, recording: Option<Recording>) {
        let call = format!("call_{}{number:04x}", &self.id[8..]).parse().unwrap();
        let arguments = CanonicalJson::of(&json!({"number": number})).unwrap();
        self.act(
            Act::Propose(Box::new(Propose {
                call,
                approval: format!("appr_{}{number:04x}", &self.id[8..]).parse().unwrap(),
                approval_ttl_us: 1,
                label: format!("step {number}"),
                tool: tool(),
                arguments: arguments.clone(),
                resources: Resources::default(),
                values: Vec::new(),
            })),
            None,
        );
        // A call that recordings answer is not its client's to make.
        if recording.is_some() {
            self.act(Act::StartCall { call, arguments }, None);
        }
        let output = Content::json(CanonicalJson::of(&json!({"answer": number})).unwrap()).0;
        let outcome = ToolOutcome { succeeded: true, output, recording };
        self.act(Act::CompleteCall { call, outcome, duration_us: 1 }, None);
    }

    fn start(&self) -> Start {
        Start {
            run: self.id.parse().unwrap(),
            agent: "agent".to_owned(),
            goal: format!("goal_{}", &self.id[4..]).parse().unwrap(),
            goal_text: "a goal".to_owned(),
            planner: PlannerSpec::Client,
            workspace: None,
            priority: Priority::Normal,
        }
    }
}

fn tool() -> ToolFacts {
    ToolFacts {
        name: "fetch".to_owned(),
        digest: Digest::of(b"fetch"),
        risk: "low".to_owned(),
        idempotent: false,
        consequential: false,
        reads_untrusted: false,
        executor: Executor::Client,
        trusted_source: false,
        roles: BTreeMap::default(),
    }
}

/// The events of both runs, and how many are the first one's.
pub fn ledger(forge: impl Fn(&mut RunEvent)) -> (Vec<Recorded>, u64) {
    let mut origin = Story::new(RUNS[0]);
    origin.act(Act::Start(origin.start()), Some("run.start"));
    origin.call(1, None);
    let left = origin.facts.len();
    origin.call(2, None);
    let place = origin.facts.len() as u64;

    let past =
        (1..).zip(&origin.facts).map(|(place, event)| Past { sequence: place, position: place, event: event.clone() });
    let mut fork = Story::new(RUNS[1]);
    let (start, from, history) = (fork.start(), RUNS[0].parse().unwrap(), past.take(left).collect());
    let continued = Fork { start, from, history, goals: Vec::new(), law: None, live: false };
    fork.act(Act::Fork(Box::new(continued)), Some("run.fork"));
    fork.call(2, Some(Recording { run: from, sequence: place, position: place }));

    let of_origin = (1..).zip(&origin.facts).map(|(place, fact)| event(place, "default", RUNS[0], place, fact));
    let mut events: Vec<_> = of_origin.collect();
    for (sequence, fact) in (1..).zip(&mut fork.facts) {
        forge(fact);
        events.push(event(place + sequence, "default", RUNS[1], sequence, fact));
    }
    (events, place)
}

/// What was taken over says that the call failed.
pub fn took_over_something_else(fact: &mut RunEvent) {
    if let RunEvent::EventInherited(inherited) = fact
        && let Inherited { event: RunEvent::ToolCallCompleted { outcome, .. }, .. } = &mut **inherited
    {
        outcome.succeeded = false;
    }
}

/// Evidence of the runs of this number.
pub fn of((ledger, first): &(Vec<Recorded>, u64), which: &[usize]) -> Package {
    let last = ledger.len() as u64;
    let spans = [1..=*first, first + 1..=last];
    let positions: Vec<u64> = which.iter().flat_map(|number| spans[*number].clone()).collect();
    let mut package = package_under(&law(), ledger, &positions);
    let run = |number: &usize| RunName {
        tenant: Tenant::default_tenant(),
        run: RUNS[*number].to_owned(),
        events: spans[*number].clone().count() as u64,
    };
    package.subject.runs = which.iter().map(run).collect();
    package
}
