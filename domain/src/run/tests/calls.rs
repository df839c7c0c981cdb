//! Tool calls: decided before they start, started before they end, ended once.

use super::kit::{Given, NOW, Says, arguments, call, complete, context, outcome, propose, ruling, start_call, tool};
use crate::governed::{Command, Governed, Refusal};
use crate::run::{Act, CallStatus, Consultation, Executor, Next, Proposal, RunEvent};
use crate::{CanonicalJson, Decider, Digest, RulingError};

fn ours() -> Act {
    Act::Propose(Box::new(propose(1, tool(Executor::Builtin, false))))
}

fn consult() -> Act {
    let proposal = Proposal::CallTool { label: "step1".to_owned(), tool: "tool".to_owned() };
    let consultation = Consultation {
        step: 1,
        planner: "scripted".to_owned(),
        perceived: Digest::of(b"seen"),
        proposal,
        tokens: 0,
        exchange: None,
    };
    Act::Consult(consultation, Some(Box::new(propose(1, tool(Executor::Builtin, false)))))
}

#[test]
fn a_proposal_is_recorded_with_the_decisions_on_command_and_call() {
    Given::client_run().when(ours()).then(&["DecisionMade", "ToolCallProposed", "DecisionMade"]);
    Given::scripted_run().when(consult()).then(&["PlannerConsulted", "ToolCallProposed", "DecisionMade"]);
}

#[test]
fn a_call_its_client_executes_starts_at_once() {
    let theirs = Act::Propose(Box::new(propose(1, tool(Executor::Client, false))));
    let names = ["DecisionMade", "ToolCallProposed", "DecisionMade", "ToolCallStarted"];
    Given::client_run().when(theirs).then(&names);
}

#[test]
fn a_tool_call_without_an_allow_is_never_started() {
    let denied = Given::client_run().after_said(ours(), Says::Deny);
    assert_eq!((denied.run.call_status(&call(1)), denied.run.next()), (Some(CallStatus::Denied), Next::Wait));
    assert_eq!((denied.run.tally().total, denied.run.tally().denied), (1, 1));
    denied.when(start_call(1)).then_conflict("call_closed");
}

#[test]
fn a_denial_is_a_fact_and_not_an_error() {
    let events = Given::client_run().when_said(ours(), Says::Allow, Says::Deny);
    events.then(&["DecisionMade", "ToolCallProposed", "DecisionMade"]);
}

#[test]
fn a_worker_starts_an_allowed_call_and_records_its_end() {
    let allowed = Given::client_run().after(ours());
    assert_eq!(allowed.run.next(), Next::Start(call(1)));
    let started = allowed.after(start_call(1));
    let completed = started.after(complete(1));
    assert_eq!(completed.run.call_status(&call(1)), Some(CallStatus::Succeeded));
    assert!(completed.run.tainted());
    completed.when(complete(1)).then_conflict("call_closed");
}

#[test]
fn an_outcome_needs_a_start() {
    Given::client_run().after(ours()).when(complete(1)).then_conflict("call_not_started");
    let then = Given::client_run().when(complete(1));
    assert!(matches!(then.0, Err(Refusal::NotFound { what: "tool call", .. })));
}

#[test]
fn a_call_left_started_when_its_run_was_cancelled_is_interrupted_and_never_made_again() {
    for idempotent in [false, true] {
        let act = Act::Propose(Box::new(propose(1, tool(Executor::Builtin, idempotent))));
        let started = Given::scripted_run().after(act).after(start_call(1));
        let cancelled = started.after(Act::Cancel { reason: "enough".to_owned() });
        assert_eq!(cancelled.run.next(), Next::Interrupt(call(1)));
        let interrupted = cancelled.after(Act::InterruptCall { call: call(1), reason: "gone".to_owned() });
        assert_eq!(interrupted.run.next(), Next::Done);
    }
}

#[test]
fn a_call_left_started_is_interrupted_or_retried_by_its_registration() {
    let left = |idempotent| {
        let act = Act::Propose(Box::new(propose(1, tool(Executor::Builtin, idempotent))));
        Given::scripted_run().after(act).after(start_call(1))
    };
    assert_eq!(left(false).run.next(), Next::Interrupt(call(1)));
    left(false).when(start_call(1)).then_conflict("call_not_startable");
    let interrupt = Act::InterruptCall { call: call(1), reason: "gone".to_owned() };
    let interrupted = left(false).after(interrupt);
    assert_eq!(interrupted.run.call_status(&call(1)), Some(CallStatus::Interrupted));
    assert_eq!(interrupted.run.next(), Next::Consult);

    assert_eq!(left(true).run.next(), Next::Retry(call(1)));
    let events = left(true).when(start_call(1)).then(&["ToolCallStarted"]);
    assert!(matches!(events[0], RunEvent::ToolCallStarted { attempt: 2, .. }));
}

#[test]
fn a_call_starts_with_the_arguments_it_was_decided_on() {
    let other = CanonicalJson::parse("{\"a\":2}").unwrap();
    let act = Act::StartCall { call: call(1), arguments: other };
    Given::client_run().after(ours()).when(act).then_conflict("other_arguments");
}

#[test]
fn a_call_is_proposed_once_and_only_to_a_running_run() {
    Given::client_run().after(ours()).when(ours()).then_conflict("call_exists");
    let paused = Given::client_run().after(Act::Pause { reason: "x".to_owned() });
    paused.when(ours()).then_conflict("run_status");
}

#[test]
fn a_run_does_not_end_over_a_call_under_way() {
    let started = Given::client_run().after(ours()).after(start_call(1));
    started.when(Act::Finish { achieved: true, summary: "x".to_owned() }).then_conflict("call_under_way");
}

#[test]
fn a_decision_made_on_another_state_is_refused() {
    let before = Given::client_run();
    let act = ours();
    let now = context(NOW);
    let inquiries = before.run.inquiries(&act, None, &now).unwrap();
    let after =
        Given::client_run().after_said(Act::Propose(Box::new(propose(2, tool(Executor::Builtin, false)))), Says::Deny);
    let command = Command { act, intent: None, context: now, rulings: vec![ruling(99, &inquiries[0], Says::Allow)] };
    assert!(before.run.decide(&command).is_ok());
    assert!(matches!(after.run.decide(&command), Err(Refusal::Ruling(RulingError::OtherInput { .. }))));
}

#[test]
fn a_failed_call_taints_nothing() {
    let failed = Act::CompleteCall { call: call(1), outcome: outcome(false), duration_us: 1 };
    let run = Given::client_run().after(ours()).after(start_call(1)).after(failed).run;
    assert_eq!((run.call_status(&call(1)), run.tainted()), (Some(CallStatus::Failed), false));
    assert_eq!(arguments().as_str(), "{\"a\":1.5}");
}
