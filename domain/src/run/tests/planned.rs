//! A run that a model plans: what it answers is recorded first, then proposed call by call; its memory is bounded.

use serde_json::{Value, json};

use super::kit::{Given, NOW, Says, approval, call, complete, propose, start, start_call, tool};
use crate::run::{
    Act, Budget, ChatSpec, Consultation, Exchange, Executor, FunctionCall, Functions, GoalChange, Next, PlannedCall,
    PlannerSpec, Proposal, Propose, Reply, RunEvent, RunStatus, chat_request,
};
use crate::{CallId, Content, Digest, Event, GoalId};

fn chat(context_bytes: u32) -> ChatSpec {
    ChatSpec {
        url: "http://model/v1".to_owned(),
        model: "m".to_owned(),
        temperature_milli: Some(200),
        max_tokens: 100,
        stream: false,
        context_bytes,
        tools: Vec::new(),
        budget: Budget { steps: 500, calls: 1000, tokens: 1000, wall_ms: 1000 },
    }
}

fn given() -> Given {
    Given::nothing().after(start(PlannerSpec::Chat(chat(32 * 1024))))
}

fn label(step: u32, number: usize) -> String {
    format!("{step}.{number}")
}

fn exchange(calls: usize, said: &str) -> Option<Box<Exchange>> {
    let function =
        |number: usize| FunctionCall { id: format!("c{number}"), name: "tool".to_owned(), arguments: "{}".to_owned() };
    let reply = Reply {
        content: said.to_owned(),
        finish_reason: String::new(),
        tool_calls: (0..calls).map(function).collect(),
    };
    Some(Box::new(Exchange {
        form: 1,
        request_bytes: 1,
        tools: Content::of("{}".to_owned(), "application/json").0,
        model: "m".to_owned(),
        reply: Some(Content::json(reply.canonical().unwrap()).0),
        input_tokens: 5,
        output_tokens: 2,
        estimated: false,
        attempts: 1,
        failures: Vec::new(),
        latency_us: 1,
    }))
}

fn consultation(step: u32, proposal: Proposal, exchange: Option<Box<Exchange>>) -> Consultation {
    Consultation { step, planner: "chat".to_owned(), perceived: Digest::of(b"seen"), proposal, tokens: 7, exchange }
}

/// The model asks for this many calls.
fn asks(step: u32, calls: usize) -> Act {
    let planned = |index: usize| PlannedCall {
        label: label(step, index + 1),
        tool: "tool".to_owned(),
        index: u32::try_from(index).unwrap(),
    };
    let proposal = Proposal::CallTools { calls: (0..calls).map(planned).collect() };
    Act::Plan(consultation(step, proposal, exchange(calls, "so")), Vec::new())
}

fn says(step: u32, proposal: Proposal) -> Act {
    Act::Plan(consultation(step, proposal, exchange(0, "so")), Vec::new())
}

fn proposes(number: u128, label: String) -> Act {
    Act::ProposePlanned(Box::new(Propose { label, ..propose(number, tool(Executor::Builtin, false)) }))
}

fn reason() -> String {
    "because".to_owned()
}

#[test]
fn what_a_model_asks_for_is_proposed_in_its_order_and_started_together() {
    let mut given = given().after(asks(1, 3));
    assert_eq!(given.run.next(), Next::Propose);
    given.decide(proposes(2, label(1, 2)), Says::Allow, Says::Allow).unwrap_err();
    let given =
        given.after(proposes(1, label(1, 1))).after(Act::RejectPlanned { label: label(1, 2), reason: reason() });
    assert_eq!(given.run.next(), Next::Propose, "all are proposed before any is started");
    let given = given.after(proposes(3, label(1, 3)));
    assert_eq!((given.run.next(), given.run.startable()), (Next::Start(call(1)), vec![call(1), call(3)]));
    let given = given.after(start_call(1)).after(start_call(3)).after(complete(3)).after(complete(1));
    assert_eq!(given.run.next(), Next::Consult);
}

#[test]
fn a_model_is_not_recorded_twice_for_one_step() {
    given().after(asks(1, 1)).when(asks(1, 1)).then_conflict("step_taken");
    given().after(asks(1, 1)).when(asks(2, 1)).then_conflict("step_taken");
    given()
        .after(asks(1, 1))
        .when(Act::Plan(consultation(501, Proposal::CallTools { calls: Vec::new() }, None), Vec::new()))
        .then_conflict("step_taken");
    Given::client_run().when(asks(1, 1)).then_conflict("budget_used_up");
}

#[test]
fn nobody_else_proposes_under_the_name_of_a_planned_call() {
    let outside = Act::Propose(Box::new(Propose { label: label(1, 1), ..propose(9, tool(Executor::Builtin, true)) }));
    given().after(asks(1, 1)).when(outside).then_conflict("label_planned");
    given().when(proposes(1, label(1, 1))).then_conflict("call_not_planned");
}

#[test]
fn tokens_count_from_the_first_call_that_they_led_to() {
    let given = given().after(asks(1, 1));
    assert_eq!(given.run.spent().tokens, 7);
    assert_eq!(given.run.budget_used_up(NOW, true), None);
    assert_eq!(
        given.run.budget_used_up(NOW + 1_000_000, false).unwrap(),
        "the budget is used up: 1000 of 1000 milliseconds"
    );
}

#[test]
fn a_paused_run_takes_an_answer_and_ends_with_it_when_it_is_resumed() {
    let paused = || given().after(Act::Pause { reason: reason() });
    let mut asked = paused().after(asks(1, 1));
    assert_eq!(asked.run.next(), Next::Wait);
    asked.decide(proposes(1, label(1, 1)), Says::Allow, Says::Allow).unwrap_err();
    assert_eq!(asked.after(Act::Resume).run.next(), Next::Propose);
    let mut ends = paused();
    let events = ends.decide(says(1, Proposal::Achieved { summary: reason() }), Says::Allow, Says::Allow).unwrap();
    assert_eq!(events.iter().map(RunEvent::event_type).collect::<Vec<_>>(), ["PlannerConsulted"]);
    let resumed = paused().after(says(1, Proposal::Achieved { summary: reason() })).after(Act::Resume);
    assert_eq!((resumed.run.next(), resumed.run.status()), (Next::Conclude, RunStatus::Running));
    let ended = given().after(Act::Cancel { reason: reason() });
    ended.when(asks(1, 1)).then_conflict("run_status");
}

#[test]
fn sub_goals_serve_the_goal_pursued_now_and_end_before_it() {
    let set =
        |number: u128| GoalChange::Set { goal: GoalId::new(super::kit::id(number)), text: format!("goal {number}") };
    let goals = |step, changes| {
        Act::Plan(consultation(step, Proposal::CallTools { calls: Vec::new() }, exchange(0, "")), changes)
    };
    let mut given = given().after(goals(1, vec![set(10), set(11)]));
    let parents: Vec<_> = given.run.goals().iter().map(|goal| goal.parent).collect();
    assert_eq!(parents, [None, Some(given.run.goals()[0].id), Some(given.run.goals()[1].id)]);
    for number in [0, 1, 4, u32::MAX] {
        let wrong = goals(2, vec![GoalChange::Achieved { number, summary: reason() }]);
        given.decide(wrong, Says::Allow, Says::Allow).unwrap_err();
    }
    let given = given.after(goals(2, vec![GoalChange::Achieved { number: 3, summary: reason() }]));
    given.when(says(3, Proposal::GiveUp { reason: reason() })).then(&[
        "PlannerConsulted",
        "GoalFailed",
        "GoalFailed",
        "RunFailed",
    ]);
}

#[test]
fn consultations_that_lead_to_nothing_are_counted_until_one_does() {
    let unusable = |step| says(step, Proposal::Unusable { reason: reason() });
    let given = given().after(unusable(1)).after(unusable(2)).after(asks(3, 1));
    assert_eq!(given.run.memory().unusable(), 3);
    let given = given.after(Act::RejectPlanned { label: label(3, 1), reason: reason() }).after(asks(4, 1));
    assert_eq!(given.run.memory().unusable(), 4);
    assert_eq!(given.after(proposes(1, label(4, 1))).run.memory().unusable(), 0);
}

fn request(given: &Given, context_bytes: u32) -> Value {
    let functions = Functions::of(&[]).unwrap();
    let texts = |content: &Content| content.text.clone();
    chat_request(&given.run, &chat(context_bytes), &functions, &texts).unwrap().value().unwrap()
}

fn answered(mut given: Given, step: u32, said: &str) -> Given {
    let planned = PlannedCall { label: label(step, 1), tool: "tool".to_owned(), index: 0 };
    let proposal = Proposal::CallTools { calls: vec![planned] };
    given = given.after(Act::Plan(consultation(step, proposal, exchange(1, said)), Vec::new()));
    let denied = proposes(u128::from(step), label(step, 1));
    given.after_said(denied, Says::Deny)
}

#[test]
fn a_request_holds_what_fits_and_says_what_it_leaves_out() {
    let said = "word ".repeat(700);
    let mut given = given();
    for step in 1..=100 {
        given = answered(given, step, &said);
    }
    let context = 32 * 1024;
    let request = request(&given, context);
    let messages = request["messages"].as_array().unwrap();
    let bytes: usize = messages.iter().map(|message| message.to_string().len()).sum();
    assert!(bytes < usize::try_from(context).unwrap() + 1024, "{bytes}");
    let note = messages[2]["content"].as_str().unwrap();
    let shown = messages.iter().filter(|message| message["role"] == "assistant").count();
    let left_out = 100 - shown;
    assert!(shown > 3 && note.starts_with("Left out here"), "{note}");
    assert!(
        note.contains(&format!("your first {left_out} turns, in which 0 calls succeeded, {left_out} were denied")),
        "{note}"
    );
    assert_eq!(messages[messages.len() - 2]["tool_calls"][0]["id"], "call_100_1");
    assert!(messages[messages.len() - 1]["content"].as_str().unwrap().contains("\"status\":\"denied\""));
    assert!(given.run.memory().turns().count() <= 64);
}

#[test]
fn a_request_is_a_function_of_what_the_run_remembers() {
    let one = answered(given(), 1, "so");
    let before = request(&one, 32 * 1024);
    let later = one.later(99).after(Act::Pause { reason: reason() }).after(Act::Resume);
    assert_eq!(request(&later, 32 * 1024), before);
    assert_eq!((&before["temperature"], &before["model"]), (&json!(0.2), &json!("m")));
    let told = answered(later, 2, "so").after(says(3, Proposal::Unusable { reason: "odd".to_owned() }));
    let messages = request(&told, 32 * 1024)["messages"].as_array().unwrap().clone();
    assert!(messages.last().unwrap()["content"].as_str().unwrap().starts_with("Your reply could not be used: odd."));
}

#[test]
fn an_approval_of_a_planned_call_is_nobodys_but_the_planners() {
    let given = given().after(asks(1, 1)).after(Act::Pause { reason: reason() }).after(Act::Resume);
    let given = given.after_said(proposes(1, label(1, 1)), Says::Approval);
    let waiting: CallId = call(1);
    assert_eq!(given.run.call(&waiting).unwrap().proposed_by, "");
    given.when(Act::Grant { approval: approval(1) }).then(&["DecisionMade", "ApprovalGranted"]);
}
