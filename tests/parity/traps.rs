//! Where engines are known to differ. Each is shown here to differ still, so that the gate's refusal of it has its reason;
//! one that no longer does is found, too.

use xagent_domain::{FailureClass, Limits};
use xagent_policies::{DecidedBy, Embedded, PolicyEngine};
use xagent_tests::opa;

use crate::contest::{Contest, ask, class, same, tools};

/// Name, and a Rego term whose value differs.
const TRAPS: [(&str, &str); 14] = [
    ("a word boundary beside a letter that is not ASCII", r#"regex.match(`\beval\(`, "éeval(x)")"#),
    ("repetition beyond a thousand", r#"regex.match(`^a{1001}$`, "a")"#),
    ("an IPv4 network and a mapped address", r#"net.cidr_contains("10.0.0.0/8", "::ffff:10.0.0.1")"#),
    ("a mapped network and an IPv4 address", r#"net.cidr_contains("::ffff:0:0/96", "10.0.0.1")"#),
    ("a sum of floats", "json.marshal(0.1 + 0.2)"),
    ("a quotient", "json.marshal(1 / 3)"),
    ("an exponent", "json.marshal(1e21)"),
    ("a number beyond 64 bits", "json.marshal(100000000000000000000 * 10)"),
    ("the upper case of a letter that is not ASCII", r#"upper("ß")"#),
    ("the upper case of a letter that becomes two", r#"upper("ŉ")"#),
    ("the lower case of a letter that is not ASCII", r#"lower("İ")"#),
    ("the lower case of a letter by its place", r#"lower("ΑΣ")"#),
    ("the length of a text outside the basic plane", r#"count("😀")"#),
    ("JSON with what HTML would mind", r#"json.marshal("<é>")"#),
];

fn source() -> String {
    let mut source = "package xagent.tools\n".to_owned();
    for (index, (_, term)) in TRAPS.iter().enumerate() {
        source += &format!(
            "\ndecision := {{\"allow\": false, \"deny\": [{{\"code\": code}}], \"obligations\": []}} if {{\n\
             \tinput.trap == {index}\n\tcode := sprintf(\"%v\", [{term}])\n}}\n"
        );
    }
    source
}

#[test]
fn each_known_trap_still_tells_the_engines_apart() {
    let Some(opa) = opa("the known traps") else { return };
    let contest = Contest::of(&tools(&source()), &opa);
    let alike = TRAPS.iter().enumerate().filter_map(|(index, (name, _))| {
        let (embedded, opa) = contest.both(&ask(&format!("{{\"trap\":{index}}}")));
        same(&embedded, &opa).then(|| format!("{name}: {embedded:?}"))
    });
    assert_eq!(alike.collect::<Vec<_>>(), [""; 0], "these can be taken off the list of what is refused");
}

/// Calls that fail without a word in our engine, even in its strict mode.
const SILENT: [&str; 11] = [
    "array.slice([1], 0.5, 1)",
    "graph.reachable(input.x, [1])",
    "graph.reachable_paths(input.x, [1])",
    "json.filter({\"a\": 1}, input.x)",
    "json.patch({}, [{\"op\": \"x\"}])",
    "json.remove({\"a\": 1}, input.x)",
    "regex.replace(\"a\", input.pattern, \"b\")",
    "regex.template_match(\"a{\", \"a\", \"{\", \"}\")",
    "time.add_date(0, 1000000, 1, 1)",
    "units.parse(input.pattern)",
    "units.parse_bytes(input.pattern)",
];

#[test]
fn a_bundle_whose_failures_would_be_silent_decides_nothing() {
    for call in SILENT {
        let source = format!("package xagent.tools\n\nallow if not {call} == 1\n");
        let error = Embedded::new(Limits { timeout_ms: 100 }).load(&tools(&source)).unwrap_err().to_string();
        let name = call.split('(').next().unwrap();
        assert!(error.contains(&format!("tools.rego:3: `{name}` is undefined where it fails")), "{error}");
    }
}

const SWALLOWED: &str = "package xagent.tools

decision := {\"allow\": allow, \"deny\": [], \"obligations\": []}

default allow := false

allow if not forbidden

forbidden if regex.match(input.pattern, \"a\")
";

/// The trap all others are harmless beside: where a builtin fails under `not`, the condition it was to keep is kept.
#[test]
fn a_builtin_that_fails_under_not_allows_in_an_engine_that_is_not_strict() {
    let Some(opa) = opa("a builtin that fails under `not`") else { return };
    let contest = Contest::of(&tools(SWALLOWED), &opa);
    let question = ask("{\"pattern\":\"(\"}");
    let (embedded, strict) = contest.both(&question);
    assert_eq!(class(&embedded), Some(FailureClass::EvaluationError));
    assert_eq!(class(&strict), Some(FailureClass::EvaluationError));
    let lenient = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let url = format!("{}/v1/data/xagent/tools/decision", contest.process.url());
        let asked = reqwest::Client::builder().no_proxy().build().unwrap().post(url);
        let asked = asked.body(format!("{{\"input\":{}}}", question.1.as_str())).send();
        asked.await.unwrap().json::<serde_json::Value>().await.unwrap()
    });
    assert_eq!(lenient["result"]["allow"], true, "{lenient}");
}

#[test]
fn what_the_machine_swallows_the_authority_decides() {
    let Some(opa) = opa("what the machine swallows") else { return };
    let contest = Contest::of(&tools(SWALLOWED), &opa);
    let (entrypoint, input) = ask("{\"pattern\":\"(\"}");
    let (recorded, _) = contest.both(&(entrypoint.clone(), input.clone()));
    let (again, by) = contest.bulk.decide_again(&contest.bundle, &entrypoint, &input, &recorded);
    assert_eq!((again, by), (recorded, DecidedBy::Authority));
}
