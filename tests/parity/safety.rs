//! Nothing that goes wrong ever allows: a case of every class, and builtins made to fail wherever a rule may call them.

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::json;
use xagent_domain::{CanonicalJson, Digest, Entrypoint, FailureClass, Limits};
use xagent_policies::{Bulk, PolicyEngine};
use xagent_tests::opa;

use crate::contest::{Contest, Question, ask, class, tools};

const SEED: u64 = 71;
const CASES: usize = 600;

/// A rule per case; what each comes to.
const CLASSES: [(&str, FailureClass); 10] = [
    ("{\"allow\": true, \"deny\": [], \"obligations\": []} if input.no_such", FailureClass::Undefined),
    ("{\"allow\": x, \"deny\": [], \"obligations\": []} if x := to_number(\"x\") > 0", FailureClass::EvaluationError),
    ("{\"allow\": 1 / input.zero > 0, \"deny\": [], \"obligations\": []}", FailureClass::EvaluationError),
    ("{\"allow\": conflict, \"deny\": [], \"obligations\": []}", FailureClass::EvaluationError),
    ("true", FailureClass::WrongShape),
    ("null", FailureClass::WrongShape),
    ("{\"allow\": true}", FailureClass::WrongShape),
    ("{\"allow\": \"true\", \"deny\": [], \"obligations\": []}", FailureClass::WrongShape),
    ("{\"allow\": true, \"deny\": [{\"code\": \"x\"}], \"obligations\": []}", FailureClass::WrongShape),
    ("{\"allow\": true, \"deny\": {}, \"obligations\": []}", FailureClass::WrongShape),
];

fn classes() -> String {
    let mut source =
        "package xagent.tools\n\nconflict := 1 if input.zero == 0\n\nconflict := 2 if input.zero == 0\n".to_owned();
    for (index, (rule, _)) in CLASSES.iter().enumerate() {
        let (value, condition) = rule.split_once(" if ").unwrap_or((rule, "true"));
        source += &format!("\ndecision := {value} if {{\n\tinput.case == {index}\n\t{condition}\n}}\n");
    }
    source
}

#[test]
fn every_class_of_failure_denies_in_both_engines_and_is_named_alike() {
    let Some(opa) = opa("the classes of failure") else { return };
    let contest = Contest::of(&tools(&classes()), &opa);
    for (index, (rule, expected)) in CLASSES.iter().enumerate() {
        let (embedded, opa) = contest.both(&ask(&json!({"case": index, "zero": 0}).to_string()));
        for outcome in [embedded, opa] {
            assert_eq!(class(&outcome), Some(*expected), "{rule}: {outcome:?}");
            assert!(!outcome.document().allow);
        }
    }
}

#[test]
fn a_rule_without_an_end_denies_in_time_in_both_engines() {
    let Some(opa) = opa("the time limit") else { return };
    let source = "package xagent.tools\n\ndecision := {\"allow\": n > 0, \"deny\": [], \"obligations\": []} if {\n\
        \tn := count([1 | some i in numbers.range(1, 4000); some j in numbers.range(1, 4000); i * j == 0])\n}\n";
    let contest = Contest::within(&tools(source), &opa, Limits { timeout_ms: 300 });
    let clock = std::time::Instant::now();
    let (embedded, opa) = contest.both(&ask("{}"));
    assert_eq!((class(&embedded), class(&opa)), (Some(FailureClass::Timeout), Some(FailureClass::Timeout)));
    assert!(clock.elapsed() < std::time::Duration::from_secs(5), "{:?}", clock.elapsed());
}

#[test]
fn the_machine_that_runs_out_of_instructions_says_nothing_that_counts() {
    let source = "package xagent.tools\n\ndecision := {\"allow\": n > 0, \"deny\": [], \"obligations\": []} if {\n\
        \tn := count([1 | some i in numbers.range(1, 500)])\n}\n";
    let bulk = Bulk::with_instructions(Limits { timeout_ms: 5000 }, 100);
    let digest = bulk.load(&tools(source)).unwrap();
    let (entrypoint, input) = ask("{}");
    let proposed = bulk.proposed(&digest, &entrypoint, &input).unwrap();
    assert_eq!(class(&proposed), Some(FailureClass::InstructionLimit));
    assert!(!proposed.document().allow);
}

#[test]
fn a_bundle_that_an_engine_does_not_serve_denies() {
    let Some(opa) = opa("a bundle OPA does not serve") else { return };
    let allow = "package xagent.tools\n\ndecision := {\"allow\": true, \"deny\": [], \"obligations\": []}\n";
    let contest = Contest::within(&tools(allow), &opa, Limits { timeout_ms: 200 });
    let input = CanonicalJson::parse("{}").unwrap();
    let entrypoint = Entrypoint::tools();
    for engine in [&contest.embedded as &dyn PolicyEngine, &contest.opa] {
        assert!(engine.decide(&contest.bundle, &entrypoint, &input).outcome.document().allow);
        let other = engine.decide(&Digest::of(b"another"), &entrypoint, &input).outcome;
        assert_eq!(class(&other), Some(FailureClass::BundleMissing), "{other:?}");
    }
}

/// Terms that fail on any of these values of `input.x`.
const FAILING: [(&str, &[&str]); 10] = [
    ("regex.match(input.x, \"a\")", &["(", "[a", "*", "a{2,1}"]),
    ("to_number(input.x)", &["", "x", "1x", "é", "0x"]),
    ("net.cidr_contains(\"10.0.0.0/8\", input.x)", &["", "x", "1.2.3", "10.0.0.256", "1.2.3.4.5"]),
    ("net.cidr_contains(input.x, \"10.0.0.1\")", &["", "x", "10.0.0.0/33", "10.0.0.0/x"]),
    ("base64.decode(input.x)", &["%", "a", "é"]),
    ("hex.decode(input.x)", &["z", "abc", "é"]),
    ("json.unmarshal(input.x)", &["", "{", "nul", "1 2"]),
    ("time.parse_rfc3339_ns(input.x)", &["", "yesterday", "2026-13-01T00:00:00Z"]),
    ("semver.compare(input.x, \"1.0.0\")", &["", "x", "1.0"]),
    ("1 / count(input.empty)", &["", "x"]),
];

/// Where a rule may call a term. Each would hold if the failure were taken for undefined, false or nothing.
const FORMS: [&str; 9] = [
    "not TERM",
    "count([1 | TERM]) == 0",
    "count({x | x := TERM}) == 0",
    "count({\"k\": v | v := TERM}) == 0",
    "every _ in [1] {\n\t\tnot TERM\n\t}",
    "not helper_N",
    "other_N",
    "object.get({\"x\": [1 | TERM]}, \"x\", []) == []",
    "helped_N(1)",
];

fn case(number: usize, random: &mut StdRng) -> (String, Question, bool) {
    let (term, values) = FAILING.choose(random).unwrap();
    let (form, is_control) = (*FORMS.choose(random).unwrap(), random.random_bool(0.2));
    // A control has the same form with a term that does not hold.
    let term = if is_control { "input.no_such == 0" } else { term };
    let holds = ["input.yes == true", "count(input.empty) == 0", "\"a\" in [\"a\", input.x]", "input.x != 1"];
    let mut conditions: Vec<String> =
        (0..random.random_range(0..3)).map(|_| (*holds.choose(random).unwrap()).to_owned()).collect();
    let failing = form.replace("TERM", term).replace('N', &number.to_string());
    conditions.insert(random.random_range(0..=conditions.len()), failing);
    let source = format!(
        "\nallow_{number} if {{\n\t{}\n}}\n\nhelper_{number} if {term}\n\ndefault other_{number} := true\n\n\
         other_{number} := false if {term}\n\nhelped_{number}(n) if {{\n\tn == 1\n\tnot {term}\n}}\n\n\
         decision := {{\"allow\": true, \"deny\": [], \"obligations\": []}} if {{\n\tinput.case == {number}\n\tallow_{number}\n}}\n",
        conditions.join("\n\t")
    );
    let input = json!({"case": number, "empty": [], "x": values.choose(random).unwrap(), "yes": true});
    (source, ask(&input.to_string()), is_control)
}

#[test]
fn a_builtin_that_fails_anywhere_in_a_rule_never_allows() {
    let Some(opa) = opa("builtins made to fail") else { return };
    let mut random = StdRng::seed_from_u64(SEED);
    let cases: Vec<_> = (0..CASES).map(|number| case(number, &mut random)).collect();
    let source: String = cases.iter().map(|(source, ..)| source.as_str()).collect();
    let contest = Contest::of(&tools(&format!("package xagent.tools\n{source}")), &opa);
    for (source, question, is_control) in &cases {
        let (embedded, opa) = contest.both(question);
        for (engine, outcome) in [("the interpreter", embedded), ("OPA", opa)] {
            let allow = outcome.document().allow;
            assert_eq!(allow, *is_control, "{engine}: {outcome:?}\n{}\n{source}", question.1.as_str());
        }
    }
}
