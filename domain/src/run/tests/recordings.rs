//! Runs recorded by every version ever shipped: each policy input is rebuilt byte for byte.

use super::kit::{Given, Says, approval, complete, propose, start, start_call, tool};
use crate::run::{
    Act, ArgumentRole, Consultation, Executor, PlannerSpec, Proposal, Propose, Run, RunEvent, ToolFacts, argument_uses,
};
use crate::{CanonicalJson, Decider, DecisionMade, Digest, Question, command_inquiry, tool_inquiry};

const FIRST_INPUTS: &str = include_str!("fixtures/run_input_1.json");
const SECOND_INPUTS: &str = include_str!("fixtures/run_input_2.json");

/// A run that reads, is tainted, asks for an approval, gets it, and is decided again.
fn story() -> Vec<RunEvent> {
    let ours = |number| Act::Propose(Box::new(propose(number, tool(Executor::Builtin, true))));
    let acts = [
        (start(PlannerSpec::Client), Says::Allow),
        (ours(1), Says::Allow),
        (start_call(1), Says::Allow),
        (complete(1), Says::Allow),
        (ours(2), Says::Deny),
        (ours(3), Says::Approval),
        (Act::Grant { approval: approval(3) }, Says::Allow),
        (start_call(3), Says::Allow),
        (complete(3), Says::Allow),
        (consult(), Says::Deny),
        (consequential(5), Says::Allow),
        (Act::Finish { achieved: true, summary: "done".to_owned() }, Says::Allow),
    ];
    let mut given = Given::nothing();
    let mut recorded = Vec::new();
    for (act, says) in acts {
        let events = given.decide(act, Says::Allow, says).unwrap();
        events.iter().for_each(|event| given.run.evolve(event));
        recorded.extend(events);
    }
    recorded
}

/// A consultation that cost tokens.
fn consult() -> Act {
    let proposal = Proposal::CallTool { label: "step4".to_owned(), tool: "tool".to_owned() };
    let (planner, perceived) = ("model".to_owned(), Digest::of(b"seen"));
    let consultation = Consultation { step: 1, planner, perceived, proposal, tokens: 7, exchange: None };
    Act::Consult(consultation, Some(Box::new(propose(4, tool(Executor::Builtin, true)))))
}

/// A call whose arguments have roles.
fn consequential(number: u128) -> Act {
    let roles = [("to".to_owned(), ArgumentRole::Recipient), ("sum".to_owned(), ArgumentRole::Amount)].into();
    let tool = ToolFacts { consequential: true, roles, ..tool(Executor::Builtin, true) };
    let arguments = serde_json::json!({"sum": 1.5, "to": "goal", "unsaid": true});
    let values = argument_uses(&tool.roles, &arguments);
    let arguments = CanonicalJson::of_value(&arguments).unwrap();
    Act::Propose(Box::new(Propose { arguments, values, ..propose(number, tool) }))
}

fn input(run: &Run, made: &DecisionMade) -> CanonicalJson {
    let inquiry = match &made.question {
        Question::Command(intent) => command_inquiry(Some(run), intent, &made.context),
        Question::ToolCall { call, .. } => {
            let call = run.call(call).unwrap();
            let arguments = CanonicalJson::recorded(call.arguments.text.clone().unwrap());
            tool_inquiry(run, call, &arguments, &made.context)
        }
    };
    inquiry.unwrap().input
}

fn replay(events: Vec<RunEvent>, version: u32, expected: usize) {
    let mut run = Run::default();
    let mut decisions = 0;
    for event in events {
        if let RunEvent::DecisionMade(made) = &event {
            assert_eq!(made.context.input_version, version);
            assert_eq!(Some(input(&run, made).as_str()), made.input.text.as_deref());
            decisions += 1;
        }
        run.evolve(&event);
    }
    assert_eq!(decisions, expected);
    assert!(run.status().has_ended());
}

#[test]
fn inputs_of_the_first_form_are_rebuilt_as_they_were() {
    replay(serde_json::from_str(FIRST_INPUTS).unwrap(), 1, 10);
}

#[test]
fn inputs_of_the_second_form_are_rebuilt_as_they_were() {
    replay(serde_json::from_str(SECOND_INPUTS).unwrap(), 2, 13);
}

#[test]
fn what_is_recorded_today_is_what_the_last_fixture_holds() {
    let today = serde_json::to_string_pretty(&story()).unwrap() + "\n";
    crate::generated::compare("src/run/tests/fixtures/run_input_2.json", &today);
    replay(story(), 2, 13);
}

#[test]
fn events_of_the_first_form_are_written_again_as_they_were() {
    let events: Vec<RunEvent> = serde_json::from_str(FIRST_INPUTS).unwrap();
    assert_eq!(serde_json::to_string_pretty(&events).unwrap() + "\n", FIRST_INPUTS);
}
