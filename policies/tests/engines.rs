//! The embedded engine's modes and what it says of itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use xagent_domain::{CanonicalJson, Digest, Entrypoint, FailureClass, Limits, Outcome};
use xagent_policies::{Bulk, Bundle, DecidedBy, Embedded, PolicyEngine};

const LIMITS: Limits = Limits { timeout_ms: 5000 };

fn input() -> CanonicalJson {
    CanonicalJson::parse("{\"tenant\":\"a\",\"principal\":{\"tenant\":\"b\"}}").unwrap()
}

#[test]
fn a_decision_names_the_engine_that_was_built_in_and_the_data_it_was_made_on() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
    let locked = lock.split("[[package]]").find(|package| package.contains("\nname = \"regorus\"\n")).unwrap();
    let locked = locked.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"');
    let (engine, stock) = (Embedded::new(LIMITS), Bundle::stock().unwrap());
    let bundle = engine.load(&stock).unwrap();
    let made = engine.decide(&bundle, &Entrypoint::tools(), &input());
    assert_eq!((made.engine.name.as_str(), made.engine.version.as_str()), ("regorus", locked));
    assert_eq!((made.engine.mode.as_str(), made.limits), ("interpreter-strict", LIMITS));
    assert_eq!((made.bundle, made.data), (stock.digest(), Some(Digest::of(stock.data().as_bytes()))));
}

#[test]
fn in_bulk_what_was_recorded_is_confirmed_by_the_machine_and_all_else_decided_by_the_authority() {
    let (bulk, engine, stock) = (Bulk::new(LIMITS), Embedded::new(LIMITS), Bundle::stock().unwrap());
    let bundle = bulk.load(&stock).unwrap();
    engine.load(&stock).unwrap();
    let (tools, input) = (Entrypoint::tools(), input());
    let recorded = engine.decide(&bundle, &tools, &input).outcome;
    assert_eq!(bulk.decide_again(&bundle, &tools, &input, &recorded), (recorded.clone(), DecidedBy::Machine));
    let forged =
        Outcome::Document(CanonicalJson::recorded("{\"allow\":true,\"deny\":[],\"obligations\":[]}".to_owned()));
    assert_eq!(bulk.decide_again(&bundle, &tools, &input, &forged), (recorded.clone(), DecidedBy::Authority));
    let failed = Outcome::Failure { class: FailureClass::Undefined, message: String::new() };
    assert_eq!(bulk.decide_again(&bundle, &tools, &input, &failed), (recorded.clone(), DecidedBy::Authority));
    let exact = Bulk::exact(LIMITS);
    exact.load(&stock).unwrap();
    assert_eq!(exact.decide_again(&bundle, &tools, &input, &recorded), (recorded, DecidedBy::Authority));
}
