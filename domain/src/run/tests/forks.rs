//! Runs that continue other runs.

use super::kit::{
    Given, Says, approval, arguments, call, complete, id, outcome, propose, scripted, start, start_call, tool,
};
use crate::governed::Refusal;
use crate::run::{
    Act, CallStatus, Executor, Fork, Next, Past, Priority, Recording, Run, RunEvent, RunStatus, Start, ToolOutcome,
};
use crate::{Digest, Event, GoalId, RulingError, RunId};

/// A run with a call that succeeded, one that was denied, and one that waits for a person; then it was cancelled.
fn history() -> Vec<Past> {
    let ours = |number| Act::Propose(Box::new(propose(number, tool(Executor::Builtin, true))));
    let acts = [
        (start(scripted()), Says::Allow),
        (ours(1), Says::Allow),
        (start_call(1), Says::Allow),
        (complete(1), Says::Allow),
        (ours(2), Says::Deny),
        (ours(3), Says::Approval),
        (Act::Pause { reason: "wait".to_owned() }, Says::Allow),
        (Act::Cancel { reason: "no".to_owned() }, Says::Allow),
    ];
    let mut given = Given::nothing();
    let mut recorded = Vec::new();
    for (act, says) in acts {
        let events = given.decide(act, Says::Allow, says).unwrap();
        events.iter().for_each(|event| crate::Decider::evolve(&mut given.run, event));
        recorded.extend(events);
    }
    let past = |(event, sequence)| Past { sequence, position: 100 + sequence, event };
    recorded.into_iter().zip(1..).map(past).collect()
}

fn fork(history: &[Past], law: Option<Digest>, live: bool) -> Act {
    let start = Start {
        run: RunId::new(id(900)),
        agent: "agent".to_owned(),
        goal: GoalId::new(id(901)),
        goal_text: "goal".to_owned(),
        planner: scripted(),
        workspace: None,
        priority: Priority::default(),
    };
    let (from, history) = (RunId::new(id(1)), history.to_vec());
    Act::Fork(Box::new(Fork { start, from, history, goals: Vec::new(), law, live }))
}

/// The bundle that the law of these tests answers by.
fn bundle() -> Digest {
    Digest::of(b"bundle")
}

fn forked(live: bool) -> Given {
    Given::nothing().after(fork(&history(), (!live).then(bundle), live))
}

fn recorded() -> ToolOutcome {
    let recording = Recording { run: RunId::new(id(1)), sequence: 7, position: 107 };
    ToolOutcome { recording: Some(recording), ..outcome(true) }
}

fn answered(number: u128) -> Act {
    Act::CompleteCall { call: call(number), outcome: recorded(), duration_us: 1 }
}

#[test]
fn a_fork_takes_over_what_was_over_and_does_the_rest_again() {
    let history = history();
    let events = Given::nothing().when(fork(&history, None, false)).0.unwrap();
    let names: Vec<_> = events.iter().map(Event::event_type).collect();
    assert_eq!(names[..4], ["DecisionMade", "RunForked", "RunStarted", "GoalSet"]);
    assert!(names[4..].iter().all(|name| *name == "EventInherited"), "{names:?}");
    assert!(matches!(events[1], RunEvent::RunForked { at_position, .. } if at_position == 100 + history.len() as u64));
    let taken: Vec<_> = events.into_iter().skip(4).map(|event| event.itself().event_type()).collect();
    assert_eq!(
        taken,
        [
            "ToolCallProposed",
            "DecisionMade",
            "ToolCallStarted",
            "ToolCallCompleted",
            "ToolCallProposed",
            "DecisionMade"
        ]
    );
    let run = forked(false).run;
    assert_eq!((run.status(), run.open_calls().count(), run.approvals().count()), (RunStatus::Running, 0, 0));
    let statuses: Vec<_> = run.results().values().map(|result| result.status).collect();
    assert_eq!(statuses, [CallStatus::Succeeded, CallStatus::Denied]);
    assert_eq!((run.id_text(), run.goals().len()), (RunId::new(id(900)).to_string(), 1));
    assert_eq!((run.tally().total, run.tally().denied), (2, 1));
}

#[test]
fn a_run_can_be_continued_from_each_of_its_events_and_so_can_its_fork() {
    let history = history();
    for left in 1..=history.len() {
        let given = Given::nothing().after(fork(&history[..left], None, false));
        assert_eq!(given.run.status(), RunStatus::Running, "{left}");
        assert_eq!((given.run.open_calls().count(), given.run.next()), (0, Next::Consult), "{left}");
        let events = Given::nothing().when(fork(&history[..left], None, false)).0.unwrap();
        let again = |(event, sequence)| Past { sequence, position: 200 + sequence, event };
        let again: Vec<_> = events.into_iter().zip(1..).map(again).collect();
        let second = Given::nothing().after(fork(&again, None, false)).run;
        let told = |run: &Run| (run.results().clone(), run.tally().clone(), run.spent(), run.trust().clone());
        assert_eq!(told(&second), told(&given.run), "{left}");
    }
}

#[test]
fn where_recordings_answer_no_tool_does() {
    let ours = |number| Act::Propose(Box::new(propose(number, tool(Executor::Builtin, false))));
    let given = || forked(false).after(ours(9));
    assert_eq!(given().run.next(), Next::Start(call(9)));
    given().after(start_call(9)).when(complete(9)).then_conflict("answered_by_recordings");
    let started = given().after(start_call(9));
    assert_eq!(started.run.next(), Next::Retry(call(9)), "a recording answers as often as it is asked");
    let ended = started.after(start_call(9)).after(answered(9)).run;
    assert_eq!(ended.call_status(&call(9)), Some(CallStatus::Succeeded));
    assert_eq!(ended.fork().unwrap().answered(&propose_digest()), 7);
}

fn propose_digest() -> Digest {
    crate::run::call_digest(&Digest::of(b"tool"), &arguments())
}

#[test]
fn a_call_without_a_recording_ends_and_says_what_is_missing() {
    let given = forked(false).after(Act::Propose(Box::new(propose(9, tool(Executor::Builtin, true)))));
    let run = given.after(Act::MissRecording { call: call(9) }).run;
    assert_eq!(run.call_status(&call(9)), Some(CallStatus::Refused));
    let reasons = &run.results().get("step9").unwrap().reasons;
    assert_eq!(reasons[0].code, "recording_missing");
    assert!(reasons[0].message.contains(&propose_digest().to_string()), "{reasons:?}");
    let denied =
        forked(false).after_said(Act::Propose(Box::new(propose(9, tool(Executor::Builtin, true)))), Says::Deny);
    denied.when(Act::MissRecording { call: call(9) }).then_conflict("call_closed");
}

#[test]
fn a_call_that_a_client_executes_is_answered_for_it() {
    let client = || Act::Propose(Box::new(propose(9, tool(Executor::Client, false))));
    forked(false).when(client()).then(&["DecisionMade", "ToolCallProposed", "DecisionMade"]);
    assert_eq!(forked(false).after(client()).run.next(), Next::Start(call(9)));
    let live = forked(true).after(client()).run;
    assert_eq!(live.call_status(&call(9)), Some(CallStatus::Started), "in a live one it executes");
}

#[test]
fn another_law_decides_on_calls_alone_and_on_nothing_that_is_done() {
    Given::nothing().when(fork(&history(), Some(bundle()), true)).then_conflict("live_under_another_law");
    let other = Digest::of(b"another bundle");
    let given = Given::nothing().after(fork(&history(), Some(other), false));
    match given.when(Act::Propose(Box::new(propose(9, tool(Executor::Builtin, true))))).0 {
        Err(Refusal::Ruling(RulingError::OtherBundle { expected, given })) => {
            assert_eq!((expected, given), (other, bundle()));
        }
        other => panic!("{other:?}"),
    }
    let given = Given::nothing().after(fork(&history(), Some(other), false));
    given.when(Act::Pause { reason: "x".to_owned() }).then(&["DecisionMade", "RunPaused"]);
}

#[test]
fn what_was_asked_for_is_asked_again() {
    let again = Act::Propose(Box::new(propose(3, tool(Executor::Builtin, true))));
    let run = forked(false).after_said(again, Says::Approval).run;
    assert_eq!(run.call_status(&call(3)), Some(CallStatus::AwaitingApproval));
    assert!(run.approval(&approval(3)).is_some());
}

#[test]
fn a_run_of_its_own_is_not_answered_by_recordings() {
    let given = || {
        let run = Given::client_run().after(Act::Propose(Box::new(propose(9, tool(Executor::Builtin, true)))));
        run.after(start_call(9))
    };
    given().when(answered(9)).then_conflict("not_a_fork");
    given().when(Act::MissRecording { call: call(9) }).then_conflict("not_a_fork");
}
