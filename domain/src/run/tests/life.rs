//! A run's life: it starts once, is paused and resumed, and ends once.

use super::kit::{Given, Says, scripted, start};
use crate::Digest;
use crate::governed::Refusal;
use crate::run::{Act, Consultation, Next, PlannerSpec, Proposal, RunStatus};

fn reason() -> String {
    "because".to_owned()
}

fn consultation(proposal: Proposal) -> Act {
    let (planner, perceived) = ("scripted".to_owned(), Digest::of(b"seen"));
    Act::Consult(Consultation { step: 1, planner, perceived, proposal, tokens: 0, exchange: None }, None)
}

#[test]
fn a_run_starts_with_its_decision_and_its_goal() {
    Given::nothing().when(start(PlannerSpec::Client)).then(&["DecisionMade", "RunStarted", "GoalSet"]);
}

#[test]
fn a_run_starts_once() {
    Given::client_run().when(start(PlannerSpec::Client)).then_conflict("run_exists");
}

#[test]
fn a_denied_command_brings_nothing_about() {
    let then = Given::nothing().when_said(start(PlannerSpec::Client), Says::Deny, Says::Allow);
    assert!(matches!(then.0, Err(Refusal::Denied(decision)) if decision.deny[0].code == "no"));
}

#[test]
fn a_run_that_is_not_there_is_not_found() {
    let then = Given::nothing().when(Act::Pause { reason: reason() });
    assert!(matches!(then.0, Err(Refusal::NotFound { what: "run", .. })));
}

#[test]
fn a_paused_run_starts_nothing_until_it_is_resumed() {
    let paused = || Given::scripted_run().after(Act::Pause { reason: reason() });
    assert_eq!(paused().run.next(), Next::Wait);
    paused().when(Act::Pause { reason: reason() }).then_conflict("run_status");
    let resumed = paused().after(Act::Resume);
    assert_eq!(resumed.run.next(), Next::Consult);
    resumed.when(Act::Resume).then_conflict("run_status");
}

#[test]
fn the_planner_ends_the_run() {
    let achieved = consultation(Proposal::Achieved { summary: "done".to_owned() });
    Given::scripted_run().when(achieved).then(&["PlannerConsulted", "GoalAchieved", "RunCompleted"]);
    let given_up = consultation(Proposal::GiveUp { reason: reason() });
    Given::scripted_run().when(given_up).then(&["PlannerConsulted", "GoalFailed", "RunFailed"]);
}

#[test]
fn nothing_happens_after_the_end() {
    let ended = || Given::scripted_run().after(Act::Cancel { reason: reason() });
    assert_eq!((ended().run.status(), ended().run.next()), (RunStatus::Cancelled, Next::Done));
    ended().when(Act::Cancel { reason: reason() }).then_conflict("run_status");
    ended().when(Act::Resume).then_conflict("run_status");
    ended().when(Act::Finish { achieved: true, summary: reason() }).then_conflict("run_status");
    ended().when(consultation(Proposal::Achieved { summary: reason() })).then_conflict("run_status");
    ended().when(start(scripted())).then_conflict("run_exists");
}

#[test]
fn a_client_says_how_its_run_ended() {
    let end = |achieved| Act::Finish { achieved, summary: reason() };
    Given::client_run().when(end(true)).then(&["DecisionMade", "GoalAchieved", "RunCompleted"]);
    Given::client_run().when(end(false)).then(&["DecisionMade", "GoalFailed", "RunFailed"]);
}
