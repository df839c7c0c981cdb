//! What holds for every sequence of commands.

use proptest::prelude::*;

use super::kit::{Given, Says, approval, call, complete, propose, scripted, start, start_call, tool};
use crate::run::{Act, Executor, PlannerSpec, Run, RunEvent};
use crate::{CanonicalJson, Decider, Question};

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![3 => Just(Says::Allow), 1 => Just(Says::Deny), 1 => Just(Says::Approval)]
}

fn act() -> impl Strategy<Value = Act> {
    let number = 0..4_u128;
    let reason = || "r".to_owned();
    prop_oneof![
        1 => any::<bool>().prop_map(|client| start(if client { PlannerSpec::Client } else { scripted() })),
        4 => (number.clone(), any::<bool>(), any::<bool>()).prop_map(|(number, ours, idempotent)| {
            let executor = if ours { Executor::Builtin } else { Executor::Client };
            Act::Propose(Box::new(propose(number, tool(executor, idempotent))))
        }),
        4 => number.clone().prop_map(start_call),
        3 => number.clone().prop_map(complete),
        1 => number.clone().prop_map(move |number| Act::InterruptCall { call: call(number), reason: reason() }),
        2 => number.clone().prop_map(|number| Act::Grant { approval: approval(number) }),
        1 => number.prop_map(move |number| Act::Refuse { approval: approval(number), reason: reason() }),
        1 => Just(Act::Pause { reason: reason() }),
        1 => Just(Act::Resume),
    ]
}

/// Every start names a decision that stands before it, is about that call, and allows it.
fn assert_started_under_an_allow(events: &[RunEvent]) {
    for (place, event) in events.iter().enumerate() {
        let RunEvent::ToolCallStarted { call: started, decision, .. } = event else { continue };
        let allows = |event: &RunEvent| match event {
            RunEvent::DecisionMade(made) => {
                let about = matches!(&made.question, Question::ToolCall { call, .. } if call == started);
                made.decision == *decision && made.allow && about
            }
            _ => false,
        };
        assert!(events[..place].iter().any(allows), "{started} started without an allow");
    }
}

proptest! {
    #[test]
    fn no_sequence_of_commands_starts_a_call_without_an_allow(steps in prop::collection::vec((act(), says(), says()), 1..60)) {
        let mut given = Given::nothing();
        let mut history = Vec::new();
        for (act, api, tools) in steps {
            if let Ok(events) = given.decide(act, api, tools) {
                for event in events {
                    let text = CanonicalJson::of(&event).unwrap();
                    let read: RunEvent = serde_json::from_str(text.as_str()).unwrap();
                    prop_assert_eq!(&read, &event);
                    given.run.evolve(&event);
                    history.push(event);
                }
            }
        }
        assert_started_under_an_allow(&history);
        let ends = history.iter().filter(|event| matches!(event, RunEvent::ToolCallCompleted { .. } | RunEvent::ToolCallInterrupted { .. }));
        let starts = history.iter().filter(|event| matches!(event, RunEvent::ToolCallStarted { .. }));
        prop_assert!(ends.count() <= starts.count());
    }

    #[test]
    fn the_state_is_the_fold_of_its_events_and_survives_being_written(steps in prop::collection::vec((act(), says(), says()), 1..40)) {
        let mut given = Given::nothing();
        let mut history = Vec::new();
        for (act, api, tools) in steps {
            let events = given.decide(act, api, tools).unwrap_or_default();
            events.iter().for_each(|event| given.run.evolve(event));
            history.extend(events);
        }
        let folded = history.iter().fold(Run::default(), |mut run, event| { run.evolve(event); run });
        prop_assert_eq!(&folded, &given.run);
        let text = CanonicalJson::of(&folded).unwrap();
        let read: Run = serde_json::from_str(text.as_str()).unwrap();
        prop_assert_eq!(read, folded);
    }
}
