//! The gate, as policy authors meet it: each trap has a bundle that is refused for it, with its place and the remedy.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xagent_policies::{Bundle, Finding, check};

/// An api that decides something, so that only what a test is about is in the way.
const API: &str = "package xagent.api\n\ndecision := {\"allow\": allow, \"deny\": [], \"obligations\": []}\n\n\
    default allow := false\n\nallow if input.principal.id == \"alice\"\n";
const TOOLS: &str = "package xagent.tools\n\ndecision := {\"allow\": allow, \"deny\": [], \"obligations\": []}\n\n\
    default allow := false\n\nallow if ok\n\n";

/// A bundle whose tool calls are allowed where `ok` holds.
fn bundle(rules: &str, data: &Value) -> Bundle {
    let tools = format!("{TOOLS}{rules}");
    let modules = [("api.rego", API), ("tools.rego", &tools)].map(|(path, text)| (path.to_owned(), text.to_owned()));
    Bundle::from_parts(modules.into(), &data.to_string()).unwrap()
}

fn findings_with(rules: &str, data: &Value) -> Vec<Finding> {
    check(&bundle(rules, data)).map_or_else(|error| error.findings, |_| Vec::new())
}

fn findings(rules: &str) -> Vec<Finding> {
    findings_with(rules, &json!({}))
}

#[track_caller]
fn passes(rules: &str, data: &Value) {
    assert_eq!(findings_with(rules, data), []);
}

/// The only finding, of this code, on this text.
#[track_caller]
fn refused_with(rules: &str, data: &Value, code: &str, underlined: &str) -> Finding {
    let found = findings_with(rules, data);
    let [finding] = found.as_slice() else { panic!("{rules}: {found:#?}") };
    assert_eq!(finding.code, code, "{finding:#?}");
    if !underlined.is_empty() {
        let shown: String = finding.source.chars().skip(finding.column - 1).take(finding.width).collect();
        let texts_stand_without_their_quotes = underlined.trim_matches(['"', '`']);
        assert_eq!(shown, texts_stand_without_their_quotes, "{finding:#?}");
        assert_eq!(finding.path, "tools.rego");
        let text = format!("{TOOLS}{rules}");
        assert_eq!(text.lines().nth(finding.line - 1), Some(finding.source.as_str()));
    }
    assert!(!finding.remedy.is_empty());
    finding.clone()
}

#[track_caller]
fn refused(rules: &str, code: &str, underlined: &str) -> Finding {
    refused_with(rules, &json!({}), code, underlined)
}

#[test]
fn the_stock_bundle_passes_with_all_its_tests() {
    let checked = check(&Bundle::stock().unwrap()).unwrap_or_else(|error| panic!("{error}"));
    assert!(checked.tests_passed > 40, "{checked:?}");
    assert!(checked.lines_covered * 10 > checked.lines * 8, "{checked:?}");
}

#[test]
fn all_that_is_in_the_way_is_said_at_once_and_in_order() {
    let found = findings("ok if {\n\tx := time.now_ns()\n\tnot regex.match(`\\d`, input.a)\n\tx > 1.5\n}\n");
    let told: Vec<_> = found.iter().map(|finding| (finding.line - 8, finding.column, finding.code.as_str())).collect();
    assert_eq!(told, [(2, 7, "non_deterministic"), (3, 6, "unsafe_form"), (3, 19, "regex"), (4, 6, "floats")]);
}

#[test]
fn a_finding_reads_alone() {
    let finding = refused("ok if time.now_ns() > 1\n", "non_deterministic", "time.now_ns");
    assert_eq!(
        finding.to_string(),
        "tools.rego:9:7: `time.now_ns` answers differently from call to call: use input.context.now_us"
    );
}

#[test]
fn builtins_that_answer_differently_from_call_to_call_are_refused() {
    for (call, name) in [
        ("time.now_ns() > 1", "time.now_ns"),
        ("rand.intn(\"x\", 10) == 1", "rand.intn"),
        ("uuid.rfc4122(\"x\") != \"\"", "uuid.rfc4122"),
        ("http.send({\"url\": \"x\"}).status_code == 200", "http.send"),
        ("opa.runtime().env.A == \"b\"", "opa.runtime"),
        ("count(net.lookup_ip_addr(\"a\")) > 0", "net.lookup_ip_addr"),
        ("io.jwt.decode_verify(input.t, {})[0]", "io.jwt.decode_verify"),
        ("io.jwt.encode_sign({}, {}, {}) == \"\"", "io.jwt.encode_sign"),
        ("io.jwt.encode_sign_raw(\"\", \"\", \"\") == \"\"", "io.jwt.encode_sign_raw"),
    ] {
        refused(&format!("ok if {call}\n"), "non_deterministic", name);
    }
}

#[test]
fn what_is_only_named_in_a_text_or_a_comment_is_not_called() {
    passes("# time.now_ns()\nok if input.a == \"http.send \\\" time.now_ns\"\n", &json!({}));
}

#[test]
fn builtins_that_fill_the_memory_are_refused() {
    refused("ok if count(numbers.range(1, 9)) > 3\n", "unbounded", "numbers.range");
}

#[test]
fn builtins_that_fail_in_silence_are_refused() {
    refused("ok if json.patch(input.a, []) == {}\n", "silent_failure", "json.patch");
    refused("ok if regex.replace(input.a, \"a\", \"b\") == \"b\"\n", "silent_failure", "regex.replace");
}

#[test]
fn functions_that_only_one_engine_has_are_refused() {
    refused("ok if yaml.unmarshal(input.a) == 1\n", "unknown_function", "yaml.unmarshal");
    refused("ok if no_such_function(1)\n", "unknown_function", "no_such_function");
}

#[test]
fn not_before_a_builtin_is_refused() {
    let finding = refused("ok if not regex.match(`x`, input.a)\n", "unsafe_form", "regex.match");
    assert_eq!(finding.remedy, "write `regex.match(...) == false`");
    refused("ok if not startswith(input.a, \"x\")\n", "unsafe_form", "startswith");
    refused("ok if not f(to_number(input.a))\n\nf(x) if x == 1\n", "unsafe_form", "to_number");
    passes("ok if regex.match(`x`, input.a) == false\n", &json!({}));
    let known = json!({"known": {"a": 1}});
    passes("ok if {\n\tinput.a == 1\n\tnot input.b in object.keys(data.known)\n}\n", &known);
    refused("ok if not input.b in object.keys(input.known)\n", "unsafe_form", "object.keys");
    passes("ok if {\n\tinput.a == 1\n\tnot input.regex.match\n}\n", &json!({}));
}

#[test]
fn not_before_a_rule_that_can_fail_is_refused_where_an_allow_rests_on_it() {
    let finding = refused("ok if not bad\n\nbad if regex.match(`x`, input.a)\n", "unsafe_form", "bad");
    assert!(finding.message.contains("`regex.match` fails in `data.xagent.tools.bad`"), "{finding:#?}");
    refused(
        "ok if not bad(input.a)\n\nbad(x) if worse(x)\n\nworse(x) if net.cidr_contains(\"10.0.0.0/8\", x)\n",
        "unsafe_form",
        "bad(input.a)",
    );
    passes("ok if input.a == 1\n\nwhy contains \"x\" if not bad\n\nbad if regex.match(`x`, input.a)\n", &json!({}));
}

#[test]
fn an_allow_for_want_of_denials_is_refused() {
    let deny = "\n\ndeny contains \"x\" if regex.match(`x`, input.a)\n";
    for (form, underlined) in [
        ("count(deny) == 0", "count(deny)"),
        ("0 == count(deny)", "count(deny)"),
        ("count(deny) < 1", "count(deny)"),
        ("count(deny) <= 0", "count(deny)"),
        ("1 > count(deny)", "count(deny)"),
        ("deny == set()", "deny"),
        ("not deny[_]", "deny[_]"),
        ("not count(deny) > 0", "count"),
        ("count(data.xagent.tools.deny) == 0", "count(data.xagent.tools.deny)"),
    ] {
        let found = findings(&format!("ok if {form}{deny}"));
        let finding = found.iter().find(|finding| finding.code == "unsafe_form");
        let finding = finding.unwrap_or_else(|| panic!("{form}: {found:#?}"));
        let shown: String = finding.source.chars().skip(finding.column - 1).take(finding.width).collect();
        assert_eq!(shown, underlined);
    }
    passes("ok if {\n\tinput.a == 1\n\tcount(input.list) == 0\n}\n", &json!({}));
    passes("ok if {\n\tinput.a == 1\n\tcount(some_set) > 0\n}\n\nsome_set contains input.b\n", &json!({}));
}

#[test]
fn an_allow_for_want_of_what_a_comprehension_found_is_refused() {
    let rules = "ok if count([p | some p in data.patterns; regex.match(p, input.a)]) == 0\n";
    refused_with(
        rules,
        &json!({"patterns": ["a"]}),
        "unsafe_form",
        "count([p | some p in data.patterns; regex.match(p, input.a)])",
    );
}

#[test]
fn an_allow_by_default_is_refused() {
    refused("default ok := true\n\nok := false if input.a == 1\n", "unsafe_form", "ok");
}

#[test]
fn an_allow_in_an_else_behind_what_can_fail_is_refused() {
    refused("ok := false if {\n\tregex.match(`x`, input.a)\n} else := true\n", "unsafe_form", "else := true");
}

#[test]
fn an_allow_where_a_default_stands_for_a_failure_is_refused() {
    refused("ok if bad == false\n\ndefault bad := false\n\nbad if regex.match(`x`, input.a)\n", "unsafe_form", "bad");
    passes("ok if {\n\tinput.a == 1\n\tbad == false\n}\n\ndefault bad := false\n\nbad if input.b == 1\n", &json!({}));
}

#[test]
fn patterns_that_know_unicode_in_one_engine_only_are_refused() {
    for pattern in ["\\w", "\\d", "\\s", "\\b"] {
        let literal = format!("`eval{pattern}`");
        refused(&format!("ok if regex.match({literal}, input.a) == false\n"), "regex", &literal);
    }
}

#[test]
fn patterns_that_one_engine_does_not_take_are_refused() {
    for pattern in ["a{1001}", "(a{100}){100}", "(?=a)", "(?<!a)b", "(a)\\\\1", "(?i)a", "(?x)a", "[a&&b]", "a{2"] {
        let literal = format!("\"{pattern}\"");
        refused(&format!("ok if regex.match({literal}, input.a)\n"), "regex", &literal);
    }
}

#[test]
fn patterns_are_followed_into_the_data_and_through_functions() {
    let data = json!({"config": {"patterns": ["[a-z]+", "\\w+"], "words": ["\\d is no pattern"]}});
    let finding = refused_with(
        "ok if {\n\tevery p in data.config.patterns {\n\t\tregex.match(p, input.a) == false\n\t}\n}\n",
        &data,
        "regex",
        "p",
    );
    assert!(finding.message.contains("`\\w+` of `data.config.patterns[_]`"), "{finding:#?}");
    let through = "ok if fits(input.a, object.get(data.config, \"patterns\", []))\n\nfits(text, list) if {\n\tsome one in list\n\tmatches(one, text)\n}\n\nmatches(pattern, text) if regex.match(pattern, text)\n";
    refused_with(through, &data, "regex", "pattern");
    passes("ok if {\n\tsome p in data.config.words\n\tp == input.a\n}\n", &data);
}

#[test]
fn patterns_that_come_from_the_input_or_nowhere_are_refused() {
    let finding = refused("ok if regex.match(input.arguments.pattern, \"x\")\n", "regex", "input.arguments.pattern");
    assert!(finding.message.contains("comes from `input.arguments.pattern`"), "{finding:#?}");
    refused("ok if regex.match(concat(\"\", [\"a\", input.a]), \"x\")\n", "regex", "concat(\"\", [\"a\", input.a])");
}

#[test]
fn mapped_addresses_are_refused() {
    refused(
        "ok if net.cidr_contains(\"::ffff:10.0.0.0/104\", input.a) == false\n",
        "mapped_address",
        "\"::ffff:10.0.0.0/104\"",
    );
    let data = json!({"blocks": ["10.0.0.0/8", "::ffff:0:0/96"]});
    let rules = "ok if {\n\tevery block in data.blocks {\n\t\tnet.cidr_contains(block, input.a) == false\n\t}\n}\n";
    refused_with(rules, &data, "mapped_address", "net.cidr_contains");
    refused(
        "ok if net.cidr_contains(\"10.0.0.0/8\", input.arguments.address) == false\n",
        "mapped_address",
        "input.arguments.address",
    );
    passes(
        "ok if {\n\tsome url in input.resources.urls\n\tnet.cidr_contains(\"10.0.0.0/8\", url.addresses[0])\n}\n",
        &json!({}),
    );
}

#[test]
fn floats_are_refused() {
    refused("ok if input.a > 1.5\n", "floats", "1.5");
    refused("ok if input.a > 1e3\n", "floats", "1e3");
    refused("ok if input.a > 9007199254740993\n", "floats", "9007199254740993");
    refused("ok if input.a / 3 > 1\n", "floats", "input.a / 3");
    refused("ok if sprintf(\"%.2f\", [input.a]) == \"1\"\n", "floats", "\"%.2f\"");
    let finding = refused_with("ok if input.a > data.limits[0]\n", &json!({"limits": [0.5]}), "floats", "");
    assert_eq!((finding.path.as_str(), finding.message.starts_with("/limits/0: `0.5`")), ("data.json", true));
    passes("ok if {\n\tinput.a > 1000\n\tsprintf(\"100%% %s\", [\"x\"]) != input.b\n}\n", &json!({"limits": [1]}));
}

#[test]
fn case_mapping_beyond_ascii_is_refused() {
    refused("ok if lower(input.a) == \"x\"\n", "case_mapping", "lower");
    refused("ok if upper(\"stra\u{df}e\") == input.a\n", "case_mapping", "upper");
    passes("ok if {\n\tsome name in data.names\n\tlower(name) == input.a\n}\n", &json!({"names": ["ABC"]}));
}

#[test]
fn both_entrypoints_are_asked_for() {
    let modules = BTreeMap::from([("api.rego".to_owned(), API.to_owned())]);
    let error = check(&Bundle::from_parts(modules, "{}").unwrap()).unwrap_err();
    let [finding] = error.findings.as_slice() else { panic!("{error}") };
    assert_eq!(finding.code, "entrypoint_missing");
    assert!(finding.message.contains("data.xagent.tools.decision"));
}

fn tools(source: &str) -> Vec<Finding> {
    let modules = [("api.rego", API), ("tools.rego", source)].map(|(path, text)| (path.to_owned(), text.to_owned()));
    check(&Bundle::from_parts(modules.into(), "{}").unwrap()).map_or_else(|error| error.findings, |_| Vec::new())
}

#[test]
fn a_decision_of_another_shape_is_refused_as_written_and_as_answered() {
    for source in [
        "decision := true",
        "decision := [1]",
        "decision := {\"allow\": false, \"deny\": []}",
        "decision := {\"allow\": \"no\", \"deny\": [], \"obligations\": []}",
        "decision := {\"allow\": false, \"deny\": true, \"obligations\": []}",
        "decision := f(1)\n\nf(x) := {\"allow\": x}",
        "decision := {\"allow\": false, \"deny\": input.tool.name, \"obligations\": []}",
        "decision := {\"allow\": true, \"deny\": [{\"code\": \"x\"}], \"obligations\": []}",
    ] {
        let found = tools(&format!("package xagent.tools\n\n{source}\n"));
        assert_eq!(
            found.iter().map(|f| f.code.as_str()).collect::<Vec<_>>(),
            ["entrypoint_shape"],
            "{source}: {found:#?}"
        );
    }
}

#[test]
fn a_bundle_that_allows_nobody_to_do_nothing_is_refused() {
    let found = tools("package xagent.tools\n\ndecision := {\"allow\": true, \"deny\": [], \"obligations\": []}\n");
    assert_eq!(found.iter().map(|f| f.code.as_str()).collect::<Vec<_>>(), ["allows_nothing_known"]);
}

#[test]
fn a_rule_that_needs_itself_is_refused_with_its_place() {
    refused("ok if f(1) == 1\n\nf(x) := f(x + 1)\n", "recursion", "f");
    let found = findings("ok if a\n\na if b\n\nb if data.xagent.tools.a\n");
    assert_eq!(found.iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>(), ["recursion", "recursion"]);
}

#[test]
fn what_does_not_parse_or_compile_is_refused_with_its_place_in_every_module() {
    let modules = [("a.rego", "package a\n\nx := \n"), ("b.rego", "package b\n\ny if {\n")];
    let modules = modules.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let error = check(&Bundle::from_parts(modules.into(), "{}").unwrap()).unwrap_err();
    let places: Vec<_> = error.findings.iter().map(|f| (f.path.as_str(), f.line, f.code.as_str())).collect();
    assert_eq!(places, [("a.rego", 4, "parse"), ("b.rego", 4, "parse")]);
    let finding = refused("ok if no_such_variable == 1\n", "compile", "");
    assert_eq!((finding.path.as_str(), finding.line), ("tools.rego", 9));
}

#[test]
fn every_failing_test_is_named_with_its_place_and_what_it_gave() {
    let tests = "package t_test\n\ntest_it_holds if 1 == 1\n\ntest_it_does_not if 1 == 2\n\ntest_neither := 7\n";
    let modules = [("api.rego", API), ("tools.rego", &format!("{TOOLS}ok if input.a == 1\n")), ("t_test.rego", tests)];
    let modules = modules.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let error = check(&Bundle::from_parts(modules.into(), "{}").unwrap()).unwrap_err();
    let told: Vec<_> = error.findings.iter().map(|f| (f.line, f.message.as_str())).collect();
    assert_eq!(
        told,
        [
            (5, "the test `data.t_test.test_it_does_not` does not pass: it is undefined"),
            (7, "the test `data.t_test.test_neither` does not pass: it is 7"),
        ]
    );
}
