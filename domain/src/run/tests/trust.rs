//! What the law is told of where values come from, what taints a run and what it has spent.

use serde_json::{Value, json};

use super::kit::{Given, NOW, Says, call, context, intent, propose, start_call, tool};
use crate::governed::Governed;
use crate::run::{Act, ArgumentRole, Consultation, Executor, Proposal, Propose, ToolFacts, ToolOutcome, argument_uses};
use crate::{CanonicalJson, Content, Digest};

fn registered(consequential: bool, reads_untrusted: bool, trusted_source: bool) -> ToolFacts {
    let roles = [("to", ArgumentRole::Recipient), ("sum", ArgumentRole::Amount), ("text", ArgumentRole::Content)];
    let roles = roles.map(|(name, role)| (name.to_owned(), role)).into();
    ToolFacts { consequential, reads_untrusted, trusted_source, roles, ..tool(Executor::Builtin, true) }
}

fn proposal(number: u128, tool: ToolFacts, arguments: &Value) -> Propose {
    let values = if tool.consequential { argument_uses(&tool.roles, arguments) } else { Vec::new() };
    let arguments = CanonicalJson::of_value(arguments).unwrap();
    Propose { arguments, values, ..propose(number, tool) }
}

fn ended(number: u128, succeeded: bool, output: &Value) -> Act {
    let output = Content::json(CanonicalJson::of_value(output).unwrap()).0;
    Act::CompleteCall {
        call: call(number),
        outcome: ToolOutcome { succeeded, output, recording: None },
        duration_us: 1,
    }
}

/// A call of a tool that is over.
fn done(given: Given, number: u128, tool: ToolFacts, arguments: &Value, succeeded: bool, output: &Value) -> Given {
    let started = CanonicalJson::of_value(arguments).unwrap();
    let given = given.after(Act::Propose(Box::new(proposal(number, tool, arguments))));
    given.after(Act::StartCall { call: call(number), arguments: started }).after(ended(number, succeeded, output))
}

/// What the law would be told of a consequential call with these arguments.
fn told(given: &Given, arguments: &Value) -> Value {
    let act = Act::Propose(Box::new(proposal(99, registered(true, false, false), arguments)));
    let inquiries = given.run.inquiries(&act, None, &context(NOW + 5_000_000)).unwrap();
    inquiries[0].input.value().unwrap()
}

fn vouched(given: &Given, value: &str) -> Value {
    told(given, &json!({"to": value}))["values"][0]["in_trusted"].clone()
}

#[test]
fn a_run_is_tainted_as_soon_as_a_call_that_reads_untrusted_content_starts() {
    let proposed = Given::client_run().after(Act::Propose(Box::new(propose(1, registered(false, true, false)))));
    assert_eq!(told(&proposed, &json!({}))["run"]["tainted"], json!(false));
    let started = proposed.after(start_call(1));
    let run = told(&started, &json!({}))["run"].clone();
    assert_eq!(run["taint"], json!([{"call": call(1), "tool": "tool"}]));
    assert_eq!(run["tainted"], json!(true));
}

#[test]
fn what_a_trusted_source_said_is_vouched_for() {
    let output = json!({"people": [{"name": "Bob", "mail": "Bob <BOB@x.org>, 7"}]});
    let given = done(Given::client_run(), 1, registered(false, false, true), &json!({}), true, &output);
    for value in ["bob@x.org", "BOB@X.ORG", "Bob", "7"] {
        assert_eq!(vouched(&given, value), json!(true), "{value}");
    }
    assert_eq!(vouched(&given, "ob@x.org"), json!(false));
}

#[test]
fn an_echo_a_failure_and_any_other_source_vouch_for_nothing() {
    let says = json!({"asked": "eve@x.org", "mail": "eve@x.org"});
    let asked = json!({"to": "eve@x.org"});
    let trusted = || registered(false, false, true);
    let sources = [
        (trusted(), &asked, true),
        (trusted(), &json!({}), false),
        (registered(false, false, false), &json!({}), true),
        (registered(false, true, true), &json!({}), true),
    ];
    for (tool, arguments, succeeded) in sources {
        let given = done(Given::client_run(), 1, tool, arguments, succeeded, &says);
        assert_eq!(vouched(&given, "eve@x.org"), json!(false));
    }
}

#[test]
fn the_goal_vouches_for_what_it_names() {
    let values = told(&Given::client_run(), &json!({"to": "goal", "sum": 3, "text": "goal"}))["values"].clone();
    let seen: Vec<_> =
        values.as_array().unwrap().iter().map(|v| (&v["argument"], &v["in_goal"], &v["micros"])).collect();
    let (sum, to) = (json!("sum"), json!("to"));
    assert_eq!(seen, [(&sum, &json!(false), &json!(3_000_000)), (&to, &json!(true), &Value::Null)]);
}

#[test]
fn money_is_spent_once_when_a_call_starts() {
    let arguments = json!({"sum": 2.5});
    let start = || Act::StartCall { call: call(1), arguments: CanonicalJson::of_value(&json!({"sum": 2.5})).unwrap() };
    let proposed =
        Given::client_run().after(Act::Propose(Box::new(proposal(1, registered(true, false, false), &arguments))));
    assert_eq!(proposed.run.spent().money_micros, 0);
    let retried = proposed.after(start()).after(start());
    assert_eq!(retried.run.spent().money_micros, 2_500_000);
    assert_eq!(told(&retried, &json!({}))["run"]["spent"]["money_micros"], json!(2_500_000));
}

#[test]
fn bytes_and_time_are_counted_from_what_is_recorded() {
    let given = done(Given::client_run(), 1, registered(false, false, false), &json!({}), true, &json!("12345678"));
    let spent = told(&given, &json!({}))["run"]["spent"].clone();
    assert_eq!((&spent["bytes"], &spent["wall_ms"]), (&json!(2 + 10), &json!(5000)));
}

#[test]
fn tokens_count_once_what_they_led_to_is_decided() {
    let consult = |number: u128| {
        let proposal = Proposal::CallTool { label: format!("step{number}"), tool: "tool".to_owned() };
        let (planner, perceived) = ("model".to_owned(), Digest::of(b"seen"));
        let consultation = Consultation { step: 1, planner, perceived, proposal, tokens: 7, exchange: None };
        Act::Consult(consultation, Some(Box::new(propose(number, registered(false, false, false)))))
    };
    let given = Given::scripted_run().after_said(consult(1), Says::Deny);
    assert_eq!(given.run.spent().tokens, 7);
    assert_eq!(given.after_said(consult(2), Says::Deny).run.spent().tokens, 14);
}

#[test]
fn who_proposed_a_call_is_told_to_who_decides_on_its_approval() {
    let given = Given::client_run()
        .after_said(Act::Propose(Box::new(propose(1, registered(true, false, false)))), Says::Approval);
    let (id, _) = given.run.approvals().next().unwrap();
    let mut answer = intent("approval.grant", "bob");
    answer.attributes.insert("approval".to_owned(), id.to_string());
    let inquiries = given.run.inquiries(&Act::Grant { approval: *id }, Some(&answer), &context(NOW)).unwrap();
    assert_eq!(inquiries[0].input.value().unwrap()["approval"]["proposed_by"], json!("alice"));
}
