//! A small ledger of the vectors: one run of six events under a bundle of one module, between events of others.

use std::collections::BTreeMap;

use serde_json::json;
use xagent_domain::run::{PlannerSpec, Priority, Run, RunEvent};
use xagent_domain::{
    CanonicalJson, Content, Context, Decider, DecisionMade, Digest, Event, Intent, Limits, Principal, Recorded, Tenant,
    Usage, command_inquiry,
};
use xagent_policies::{Bulk, Bundle, Embedded, PolicyEngine};
use xagent_replay::evidence::{
    Earlier, Law, Package, Positions, RunName, SignedTree, Subject, Verdict, examine, refers,
};
use xagent_tree::{Frontier, Range, Signer, Verifier, batch_ranges, consistency_ranges};

pub const LIMITS: Limits = Limits { timeout_ms: 10_000 };
pub const RUN: &str = "run_01a20ae0d70b7641ac316fb17cdcdd28";
/// Where the run's events are; the others are of a run of another tenant.
pub const OF_RUN: [u64; 6] = [2, 3, 4, 6, 7, 8];
pub const SIZE: u64 = 9;
pub const RULE: &str = "package xagent.api\n\ndecision := {\"allow\": true, \"deny\": [], \"obligations\": []}\n";

pub fn signer(seed: u8) -> Signer {
    Signer::new("example.org/ledger", &[seed; 32]).unwrap()
}

pub fn key() -> Verifier {
    signer(7).verifier()
}

pub fn bundle() -> Bundle {
    Bundle::from_parts([("api.rego".to_owned(), RULE.to_owned())].into(), "{}").unwrap()
}

/// All nine events, each with its leaf hash.
pub fn ledger() -> Vec<Recorded> {
    ledger_of(true)
}

/// The same; where the law's answer is forged, the first decision says that it denied.
pub fn ledger_of(honest: bool) -> Vec<Recorded> {
    let mut run = Run::default();
    let mut facts = vec![decided(&run, "run.start", 1, honest)];
    let goal = "goal_01a20ae0d70b7641ac316fb17cdcdd29".parse().unwrap();
    let (agent, text, reason) = ("agent".to_owned(), "a goal".to_owned(), "enough".to_owned());
    let (id, planner) = (RUN.parse().unwrap(), PlannerSpec::Client);
    facts.push(RunEvent::RunStarted {
        run: id,
        agent,
        principal: principal(),
        planner,
        workspace: None,
        priority: Priority::Normal,
    });
    facts.push(RunEvent::GoalSet { goal, parent: None, text });
    facts.iter().for_each(|fact| run.evolve(fact));
    facts.push(decided(&run, "run.cancel", 2, true));
    facts.push(RunEvent::GoalFailed { goal, reason: reason.clone() });
    facts.push(RunEvent::RunCancelled { reason });
    let mut events = Vec::new();
    let mut others = 0;
    for position in 1..=SIZE {
        events.push(match OF_RUN.iter().position(|of| *of == position) {
            Some(place) => event(position, "default", RUN, place as u64 + 1, &facts[place]),
            None => {
                others += 1;
                let paused = RunEvent::RunPaused { reason: "of another tenant".to_owned() };
                event(position, "other", "run_00000000000000000000000000000001", others, &paused)
            }
        });
    }
    events
}

pub fn principal() -> Principal {
    let scopes = ["*".to_owned()].into();
    Principal { id: "alice".to_owned(), tenant: Tenant::default_tenant(), scopes, roles: Default::default() }
}

fn decided(run: &Run, command: &str, number: u8, honest: bool) -> RunEvent {
    let attributes = BTreeMap::new();
    let (name, aggregate, id) = (command.to_owned(), "run".to_owned(), RUN.to_owned());
    let intent = Intent { name, principal: principal(), aggregate, id, attributes };
    let context = Context::new(1_790_000_000_000_000, Usage::default());
    let inquiry = command_inquiry(Some(run), &intent, &context).unwrap();
    let engine = Embedded::new(LIMITS);
    let digest = engine.load(&bundle()).unwrap();
    let mut evaluation = engine.decide(&digest, &inquiry.question.entrypoint(), &inquiry.input);
    evaluation.duration_us = 100;
    if !honest {
        let denial = json!({"allow": false, "deny": [], "obligations": []});
        evaluation.outcome = xagent_domain::Outcome::Document(CanonicalJson::of(&denial).unwrap());
    }
    let document = evaluation.outcome.document();
    let decision = format!("dec_{number:032x}").parse().unwrap();
    let (input, _) = Content::json(inquiry.input);
    let (allow, deny, obligations) = (document.allow, document.deny, document.obligations);
    let question = inquiry.question;
    RunEvent::DecisionMade(Box::new(DecisionMade {
        decision,
        question,
        context,
        input,
        evaluation,
        allow,
        deny,
        obligations,
    }))
}

pub fn event(position: u64, tenant: &str, run: &str, sequence: u64, fact: &RunEvent) -> Recorded {
    let mut event = Recorded {
        position,
        tenant: tenant.parse().unwrap(),
        aggregate_type: "run".to_owned(),
        aggregate_id: run.to_owned(),
        sequence,
        event_type: fact.event_type().to_owned(),
        event_version: fact.event_version().to_owned(),
        payload: CanonicalJson::of(fact).unwrap().into_string(),
        metadata: CanonicalJson::of(&json!({"actor": "alice"})).unwrap().into_string(),
        recorded_at_us: 1_790_000_000_000_000 + i64::try_from(position).unwrap(),
        leaf_hash: Digest::from_bytes([0; 32]),
    };
    event.leaf_hash = xagent_tree::leaf_hash(&event).unwrap();
    event
}

fn root(ledger: &[Recorded], range: Range) -> Digest {
    let mut frontier = Frontier::default();
    let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
    ledger[range].iter().for_each(|event| frontier.push(event.leaf_hash, |_, _| {}));
    frontier.root()
}

fn note(ledger: &[Recorded], size: u64, signer: &Signer) -> String {
    signer.sign(size, root(ledger, Range { start: 0, end: size }))
}

/// Evidence of the events at `positions`, with the proof that a holder of the whole ledger can make for them.
pub fn package(ledger: &[Recorded], positions: &[u64]) -> Package {
    package_under(&bundle(), ledger, positions)
}

/// The same of a ledger under a bundle.
pub fn package_under(bundle: &Bundle, ledger: &[Recorded], positions: &[u64]) -> Package {
    let (indices, size): (Vec<_>, _) = (positions.iter().map(|position| position - 1).collect(), ledger.len() as u64);
    let path = batch_ranges(&indices, size).unwrap().into_iter().map(|range| root(ledger, range)).collect();
    let events: Vec<_> = ledger.iter().filter(|event| positions.contains(&event.position)).cloned().collect();
    let decides = events.iter().any(|event| refers(event).unwrap().decision.is_some());
    let (mut bundles, mut blobs) = (BTreeMap::new(), BTreeMap::new());
    if decides {
        let digest = |text: &String| Digest::of(text.as_bytes());
        let modules = bundle.modules().iter().map(|(path, text)| (path.clone(), digest(text))).collect();
        bundles.insert(bundle.digest(), Law { data: Digest::of(bundle.data().as_bytes()), modules });
        for text in bundle.modules().values().map(String::as_str).chain([bundle.data()]) {
            blobs.insert(Digest::of(text.as_bytes()), text.to_owned());
        }
    }
    let checkpoint = SignedTree { note: note(ledger, size, &signer(7)), verifier: key().to_string() };
    Package { subject: Subject::default(), checkpoint, earlier: None, events, bundles, blobs, path }
}

/// Evidence of the run.
pub fn of_run(ledger: &[Recorded]) -> Package {
    let mut package = package(ledger, &OF_RUN);
    package.subject.runs = vec![RunName { tenant: Tenant::default_tenant(), run: RUN.to_owned(), events: 6 }];
    package
}

/// Evidence of the run, and of everything from its first event to the checkpoint.
pub fn with_tail(ledger: &[Recorded]) -> Package {
    let positions: Vec<_> = (2..=SIZE).collect();
    let range = Some(Positions { first: 2, last: SIZE });
    let subject = Subject { range, ..of_run(ledger).subject };
    Package { subject, ..package(ledger, &positions) }
}

/// The earlier checkpoint of five events, and the proof that the tree follows on it.
pub fn earlier(ledger: &[Recorded]) -> Earlier {
    let path = consistency_ranges(5, SIZE).unwrap().into_iter().map(|range| root(ledger, range)).collect();
    Earlier { note: note(ledger, 5, &signer(7)), path }
}

pub fn examined(bytes: &[u8]) -> Verdict {
    examine(bytes, &[key()], None, &Bulk::exact(LIMITS))
}
