//! Engines side by side: the interpreter, the machine of the bulk engine, a stock OPA server.

use std::path::Path;
use std::sync::Mutex;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use xagent_domain::{CanonicalJson, Digest, Entrypoint, FailureClass, Limits, Outcome};
use xagent_opa::{OpaOptions, OpaServer, archive};
use xagent_policies::{Bulk, Bundle, Embedded, PolicyEngine};
use xagent_tests::OpaProcess;

/// Ample: what is compared here is what they say.
const LIMITS: Limits = Limits { timeout_ms: 10_000 };

pub type Question = (Entrypoint, CanonicalJson);

/// One bundle in all engines.
pub struct Contest {
    pub bundle: Digest,
    pub embedded: Embedded,
    pub bulk: Bulk,
    pub opa: OpaServer,
    pub process: OpaProcess,
    _runtime: Runtime,
    _folder: TempDir,
}

/// Where engines differ.
#[derive(Debug)]
pub struct Difference {
    pub input: String,
    pub embedded: Outcome,
    pub machine: Option<Outcome>,
    pub opa: Outcome,
}

impl Contest {
    pub fn of(bundle: &Bundle, program: &Path) -> Self {
        Self::within(bundle, program, LIMITS)
    }

    pub fn within(bundle: &Bundle, program: &Path, limits: Limits) -> Self {
        let folder = xagent_tests::folder("parity-");
        let file = folder.path().join("bundle.tar.gz");
        std::fs::write(&file, archive(bundle).unwrap()).unwrap();
        let process = OpaProcess::start(program, &["--bundle".to_owned(), file.display().to_string()]);
        let runtime = Runtime::new().unwrap();
        let options = OpaOptions { url: process.url(), bundle_file: None, limits };
        let opa = OpaServer::new(options, runtime.handle().clone()).unwrap();
        let (embedded, bulk) = (Embedded::new(limits), Bulk::new(limits));
        let digest = embedded.load(bundle).unwrap();
        assert_eq!((opa.load(bundle).unwrap(), bulk.load(bundle).unwrap()), (digest, digest));
        Self { bundle: digest, embedded, bulk, opa, process, _runtime: runtime, _folder: folder }
    }

    /// What the interpreter says and what OPA says.
    pub fn both(&self, (entrypoint, input): &Question) -> (Outcome, Outcome) {
        let embedded = self.embedded.decide(&self.bundle, entrypoint, input).outcome;
        (embedded, self.opa.decide(&self.bundle, entrypoint, input).outcome)
    }

    /// Asks all of it in all engines; returns what the interpreter said, and where another said something else.
    pub fn hold(&self, questions: &[Question]) -> (Vec<Outcome>, Vec<Difference>) {
        let (said, differences) = (Mutex::new(vec![None; questions.len()]), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (said, differences) = (&said, &differences);
                scope.spawn(move || {
                    for (index, question) in questions.iter().enumerate().skip(worker).step_by(4) {
                        let (embedded, opa) = self.both(question);
                        let machine = self.bulk.proposed(&self.bundle, &question.0, &question.1);
                        if !same(&embedded, &opa) || !machine.as_ref().is_some_and(|m| same(&embedded, m)) {
                            let input = question.1.as_str().to_owned();
                            let difference = Difference { input, embedded: embedded.clone(), machine, opa };
                            differences.lock().unwrap().push(difference);
                        }
                        said.lock().unwrap()[index] = Some(embedded);
                    }
                });
            }
        });
        let said = said.into_inner().unwrap().into_iter().map(Option::unwrap).collect();
        (said, differences.into_inner().unwrap())
    }
}

/// Documents byte for byte; of failures the class, for each engine has its own words.
pub fn same(one: &Outcome, other: &Outcome) -> bool {
    match (one, other) {
        (Outcome::Document(one), Outcome::Document(other)) => one == other,
        _ => class(one).is_some() && class(one) == class(other),
    }
}

pub fn class(outcome: &Outcome) -> Option<FailureClass> {
    match outcome {
        Outcome::Failure { class, .. } => Some(*class),
        Outcome::Document(_) => None,
    }
}

/// A bundle of one module that answers for tool calls.
pub fn tools(source: &str) -> Bundle {
    Bundle::from_parts([("tools.rego".to_owned(), source.to_owned())].into(), "{}").unwrap()
}

pub fn ask(input: &str) -> Question {
    (Entrypoint::tools(), CanonicalJson::parse(input).unwrap())
}
