//! The engine, as its callers meet it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use xagent_domain::{CanonicalJson, Digest, Entrypoint, FailureClass, Limits, Outcome};
use xagent_policies::{Bundle, Embedded, PolicyEngine};

const LIMITS: Limits = Limits { timeout_ms: 200 };

fn bundle(source: &str) -> Bundle {
    Bundle::from_parts(BTreeMap::from([("tools.rego".to_owned(), source.to_owned())]), "{}").unwrap()
}

fn outcome(source: &str) -> Outcome {
    let engine = Embedded::new(LIMITS);
    let digest = engine.load(&bundle(source)).unwrap();
    let input = CanonicalJson::parse("{\"a\":1}").unwrap();
    engine.decide(&digest, &Entrypoint::tools(), &input).outcome
}

fn class(source: &str) -> Option<FailureClass> {
    match outcome(source) {
        Outcome::Failure { class, .. } => Some(class),
        Outcome::Document(_) => None,
    }
}

#[test]
fn a_decision_is_canonical_bytes() {
    let source = "package xagent.tools\ndecision := {\"obligations\": [], \"deny\": [], \"allow\": true}";
    let Outcome::Document(text) = outcome(source) else { panic!("no document") };
    assert_eq!(text.as_str(), "{\"allow\":true,\"deny\":[],\"obligations\":[]}");
}

#[test]
fn whatever_goes_wrong_is_a_failure_of_its_class() {
    let cases = [
        ("package other\nx := 1", FailureClass::Undefined),
        ("package xagent.tools\ndecision := {\"allow\": true} if input.b", FailureClass::Undefined),
        ("package xagent.tools\ndecision := {\"allow\": to_number(\"x\")}", FailureClass::EvaluationError),
        ("package xagent.tools\ndecision := 1 if true\ndecision := 2 if true", FailureClass::EvaluationError),
        ("package xagent.tools\ndecision := true", FailureClass::WrongShape),
        ("package xagent.tools\ndecision := {\"allow\": true}", FailureClass::WrongShape),
        (
            "package xagent.tools\ndecision := {\"allow\": true, \"deny\": [{\"code\": \"x\"}], \"obligations\": []}",
            FailureClass::WrongShape,
        ),
        (
            "package xagent.tools\ndecision := {\"allow\": n > 0, \"deny\": [], \"obligations\": []} if {\n\
             n := count([1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); i == j])\n}",
            FailureClass::Timeout,
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(class(source), Some(expected), "{source}");
    }
}

#[test]
fn a_bundle_that_is_not_loaded_decides_nothing() {
    let engine = Embedded::new(LIMITS);
    let input = CanonicalJson::parse("{}").unwrap();
    let evaluation = engine.decide(&Digest::of(b""), &Entrypoint::api(), &input);
    assert!(matches!(evaluation.outcome, Outcome::Failure { class: FailureClass::BundleMissing, .. }));
}

#[test]
fn an_engine_that_timed_out_is_not_used_again() {
    let source = "package xagent.tools\n\
        decision := {\"allow\": true, \"deny\": [], \"obligations\": []} if input.quick\n\
        decision := {\"allow\": n > 0, \"deny\": [], \"obligations\": []} if {\n not input.quick\n \
        n := count([1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); i == j])\n}";
    let engine = Embedded::new(LIMITS);
    let digest = engine.load(&bundle(source)).unwrap();
    let decide =
        |input: &str| engine.decide(&digest, &Entrypoint::tools(), &CanonicalJson::parse(input).unwrap()).outcome;
    for _ in 0..2 {
        assert!(matches!(decide("{}"), Outcome::Failure { class: FailureClass::Timeout, .. }));
        assert!(matches!(decide("{\"quick\":true}"), Outcome::Document(_)));
    }
}

#[test]
fn many_threads_get_the_same_bytes() {
    let engine = Arc::new(Embedded::new(Limits { timeout_ms: 5000 }));
    let digest = engine.load(&Bundle::stock().unwrap()).unwrap();
    let input = CanonicalJson::parse("{\"tenant\":\"a\",\"principal\":{\"tenant\":\"b\"}}").unwrap();
    let expected = engine.decide(&digest, &Entrypoint::tools(), &input).outcome;
    assert!(matches!(expected, Outcome::Document(_)));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(engine.decide(&digest, &Entrypoint::tools(), &input).outcome, expected);
                }
            });
        }
    });
}

#[test]
fn the_digest_names_every_part() {
    let stock = Bundle::stock().unwrap();
    let mut modules = stock.modules().clone();
    modules.get_mut("tools.rego").unwrap().push('\n');
    assert_ne!(Bundle::from_parts(modules, stock.data()).unwrap().digest(), stock.digest());
    assert_ne!(Bundle::from_parts(stock.modules().clone(), "{}").unwrap().digest(), stock.digest());
    assert_eq!(Bundle::from_parts(stock.modules().clone(), stock.data()).unwrap().digest(), stock.digest());
}
