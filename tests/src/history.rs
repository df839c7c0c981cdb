//! A history of decisions as commands would have left it, made quickly: real runs, decided by the domain's own rules under a
//! recorded bundle, appended by the ledger's own appender. Only the law is not asked again where it is known what it says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::task::JoinSet;
use xagent_domain::bundle::{BundleEvent, Bundles, Manifest};
use xagent_domain::governed::{Command, Governed};
use xagent_domain::run::{
    Act, Executor, PathUse, PlannerSpec, Priority, Propose, Resources, Run, Start, ToolFacts, ToolOutcome, UrlUse,
};
use xagent_domain::{
    Blob, CanonicalJson, Content, Context, Decider, Digest, EngineIdentity, Evaluation, Inquiry, Intent, Limits,
    Metadata, Outcome, Principal, Ruling, Tenant, Usage,
};
use xagent_ledger::{Append, Expected, Ledger};
use xagent_policies::{Bundle, Embedded, PolicyEngine};

const LIMITS: Limits = Limits { timeout_ms: 10_000 };
/// Calls of one run.
const CALLS: u64 = 20;
/// Runs that are made at the same time.
const RUNS: usize = 16;
const NOW_US: i64 = 1_790_000_000_000_000;

/// What a call would do, and how risky its tool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asks {
    /// The tool.
    pub tool: &'static str,
    /// Its risk.
    pub risk: &'static str,
    /// A path among its arguments.
    pub path: Option<&'static str>,
    /// The port of a URL among its arguments.
    pub port: Option<u16>,
}

/// A call that every law allows.
pub const HARMLESS: Asks = Asks { tool: "read_file", risk: "low", path: Some("notes/a.txt"), port: None };

/// Makes histories in one ledger.
#[derive(Clone)]
pub struct History(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    bundle: Digest,
    data: Digest,
    engine: Embedded,
    /// Who is said to have decided.
    identity: Option<EngineIdentity>,
    /// Bytes that bring inputs to the size they are to have.
    note: String,
    known: Mutex<BTreeMap<Option<Asks>, Evaluation>>,
}

impl History {
    /// Publishes and activates `bundle` in the ledger. `note` is how many bytes each call's arguments have beside the rest.
    pub async fn under(ledger: &Ledger, bundle: &Bundle, note: usize) -> Self {
        Self::by(ledger, bundle, note, None).await
    }

    /// As [`History::under`], said to be decided by another engine.
    pub async fn by(ledger: &Ledger, bundle: &Bundle, note: usize, identity: Option<EngineIdentity>) -> Self {
        let engine = Embedded::new(LIMITS);
        let digest = engine.load(bundle).unwrap();
        publish(ledger, bundle).await;
        Self(Arc::new(Inner {
            ledger: ledger.clone(),
            bundle: digest,
            data: Digest::of(bundle.data().as_bytes()),
            engine,
            identity,
            note: "lorem ipsum ".repeat(note / 12),
            known: Mutex::default(),
        }))
    }

    /// Appends runs `first` and after until they hold about `decisions` decisions, all of them harmless.
    pub async fn fill(&self, first: u64, decisions: u64) -> u64 {
        let runs = decisions.div_ceil(CALLS + 1);
        let mut under_way = JoinSet::new();
        for number in first..first + runs {
            if under_way.len() >= RUNS {
                under_way.join_next().await.unwrap().unwrap();
            }
            let history = self.clone();
            under_way.spawn(async move { history.run(number, &vec![HARMLESS; usize::try_from(CALLS).unwrap()]).await });
        }
        while let Some(done) = under_way.join_next().await {
            done.unwrap();
        }
        runs * (CALLS + 1)
    }

    /// Appends one run with these calls, and says its id.
    pub async fn run(&self, number: u64, calls: &[Asks]) -> String {
        let id = format!("run_{number:032x}");
        let (mut run, mut events) = (Run::default(), Vec::new());
        let mut act = |act: Act, asks: Option<Asks>, at: i64| {
            let decided = self.decided(&run, number, &id, act, asks, at);
            decided.iter().for_each(|event| run.evolve(event));
            events.extend(decided);
        };
        act(start(number), None, NOW_US);
        for (place, asks) in (1_u64..).zip(calls) {
            let at = NOW_US + i64::try_from(place).unwrap() * 1000;
            act(Act::Propose(Box::new(self.proposed(number, place, *asks))), Some(*asks), at);
            act(completed(number, place), None, at);
        }
        let append = Append {
            tenant: Tenant::default_tenant(),
            aggregate_id: id.clone(),
            expected: Expected::Exactly(0),
            events,
            blobs: Vec::new(),
            metadata: Metadata { actor: "alice".to_owned(), correlation_id: id.clone(), ..Metadata::default() },
            command: None,
        };
        self.0.ledger.append::<Run>(append).await.unwrap();
        id
    }

    /// The events of one command; none where the state does not allow it, as the end of a call that never began.
    fn decided(
        &self,
        run: &Run,
        number: u64,
        id: &str,
        act: Act,
        asks: Option<Asks>,
        at: i64,
    ) -> Vec<xagent_domain::run::RunEvent> {
        let intent = matches!(act, Act::Start(_)).then(|| Intent {
            name: "run.start".to_owned(),
            principal: principal(number),
            aggregate: "run".to_owned(),
            id: id.to_owned(),
            attributes: BTreeMap::default(),
        });
        let context = Context::new(at, Usage { this_tool_last_minute: Some(0), ..Usage::default() });
        let inquiries = run.inquiries(&act, intent.as_ref(), &context).unwrap();
        let rulings = inquiries.iter().map(|inquiry| self.ruling(number, at, asks, inquiry)).collect();
        run.decide(&Command { act, intent, context, rulings }).unwrap_or_default()
    }

    fn ruling(&self, number: u64, at: i64, asks: Option<Asks>, inquiry: &Inquiry) -> Ruling {
        let known = self.0.known.lock().unwrap().get(&asks).cloned();
        let mut evaluation = known.unwrap_or_else(|| {
            let evaluation = self.0.engine.decide(&self.0.bundle, &inquiry.question.entrypoint(), &inquiry.input);
            assert!(matches!(evaluation.outcome, Outcome::Document(_)), "{:?}", evaluation.outcome);
            assert_eq!(evaluation.data, Some(self.0.data));
            self.0.known.lock().unwrap().insert(asks, evaluation.clone());
            evaluation
        });
        if let Some(identity) = &self.0.identity {
            evaluation.engine = identity.clone();
        }
        let decision = format!("dec_{number:016x}{:016x}", at - NOW_US).parse().unwrap();
        Ruling { decision, input: Content::json(inquiry.input.clone()).0, evaluation }
    }

    fn proposed(&self, number: u64, place: u64, asks: Asks) -> Propose {
        let id = format!("{number:016x}{place:016x}");
        let path = asks.path.map(|path| PathUse {
            argument: "path".to_owned(),
            raw: path.to_owned(),
            normal: path.to_owned(),
            problem: String::new(),
        });
        let url = asks.port.map(|port| UrlUse {
            argument: "url".to_owned(),
            raw: format!("http://example.org:{port}/"),
            scheme: "http".to_owned(),
            host: "example.org".to_owned(),
            port,
            addresses: vec!["93.184.216.34".to_owned()],
            problem: String::new(),
        });
        let arguments = json!({"note": self.0.note, "path": asks.path, "port": asks.port});
        Propose {
            call: format!("call_{id}").parse().unwrap(),
            approval: format!("appr_{id}").parse().unwrap(),
            approval_ttl_us: 3_600_000_000,
            label: format!("step{place}"),
            tool: tool(asks),
            arguments: CanonicalJson::of(&arguments).unwrap(),
            resources: Resources {
                paths: path.into_iter().collect(),
                urls: url.into_iter().collect(),
                code: Vec::new(),
            },
            values: Vec::new(),
        }
    }
}

fn tool(asks: Asks) -> ToolFacts {
    ToolFacts {
        name: asks.tool.to_owned(),
        digest: Digest::of(asks.tool.as_bytes()),
        risk: asks.risk.to_owned(),
        idempotent: false,
        consequential: false,
        reads_untrusted: false,
        executor: Executor::Client,
        trusted_source: false,
        roles: BTreeMap::default(),
    }
}

fn principal(number: u64) -> Principal {
    let id = if number.is_multiple_of(2) { "alice" } else { "carol" };
    let scopes = ["*".to_owned(), "tool:*".to_owned()].into();
    Principal { id: id.to_owned(), tenant: Tenant::default_tenant(), scopes, roles: Default::default() }
}

fn start(number: u64) -> Act {
    Act::Start(Start {
        run: format!("run_{number:032x}").parse().unwrap(),
        agent: if number.is_multiple_of(3) { "buyer" } else { "reviewer" }.to_owned(),
        goal: format!("goal_{number:032x}").parse().unwrap(),
        goal_text: "review this folder".to_owned(),
        planner: PlannerSpec::Client,
        workspace: None,
        priority: Priority::Normal,
    })
}

fn completed(number: u64, place: u64) -> Act {
    let output = Content::json(CanonicalJson::of(&json!({"done": true})).unwrap()).0;
    Act::CompleteCall {
        call: format!("call_{number:016x}{place:016x}").parse().unwrap(),
        outcome: ToolOutcome { succeeded: true, output, recording: None },
        duration_us: 1,
    }
}

async fn publish(ledger: &Ledger, bundle: &Bundle) {
    let mut blobs: Vec<Blob> = Vec::new();
    let mut keep = |text: &str, media_type: &str| {
        let (content, blob) = Content::of(text.to_owned(), media_type);
        blobs.extend(blob);
        content
    };
    let modules = bundle.modules().iter().map(|(path, text)| (path.clone(), keep(text, "text/x-rego"))).collect();
    let data = keep(bundle.data(), "application/json");
    let digest = bundle.digest();
    let manifest = Manifest { digest, modules, data, tests_passed: 0, publication: None };
    let append = Append {
        tenant: Tenant::default_tenant(),
        aggregate_id: "policies".to_owned(),
        expected: Expected::Any,
        events: vec![
            BundleEvent::BundlePublished(Box::new(manifest)),
            BundleEvent::BundleActivated { digest, previous: None, rolled_back: false },
        ],
        blobs,
        metadata: Metadata { actor: "system:bootstrap".to_owned(), ..Metadata::default() },
        command: None,
    };
    ledger.append::<Bundles>(append).await.unwrap();
}
