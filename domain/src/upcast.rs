//! Reading events of every version ever recorded: an older shape is brought to the present one, never rewritten.
//!
//! The ledger and replay read through this. Each version ever shipped has a recorded fixture in `domain/fixtures`.

use serde_json::Value;

use crate::Event;

/// A recorded payload that this version cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not of the shape its version says.
    #[error("{0}")]
    Payload(String),
    /// A later version, or one that never was.
    #[error("version {version} of {event_type} is not known: update this installation")]
    Version {
        /// The fact.
        event_type: String,
        /// The version it was recorded in.
        version: String,
    },
}

/// The event that was recorded as `event_type` in `version`.
pub fn read<E: Event>(event_type: &str, version: &str, payload: &str) -> Result<E, Unreadable> {
    let unreadable = |error: serde_json::Error| Unreadable::Payload(error.to_string());
    let Some(upcast) = upcaster(event_type, version) else {
        let event: E = serde_json::from_str(payload).map_err(unreadable)?;
        let unknown = || Unreadable::Version { event_type: event_type.to_owned(), version: version.to_owned() };
        return if event.event_version() == version { Ok(event) } else { Err(unknown()) };
    };
    let mut value: Value = serde_json::from_str(payload).map_err(unreadable)?;
    upcast(&mut value);
    serde_json::from_value(value).map_err(unreadable)
}

/// What brings an older shape to the present one.
fn upcaster(event_type: &str, version: &str) -> Option<fn(&mut Value)> {
    match (event_type, version) {
        ("DecisionMade", "1") => Some(decision_made_1),
        ("EventInherited", "1") => Some(event_inherited_1),
        _ => None,
    }
}

/// Version 1 did not name the bundle's data apart from the bundle.
fn decision_made_1(payload: &mut Value) {
    if let Some(Value::Object(evaluation)) = payload.pointer_mut("/DecisionMade/evaluation") {
        evaluation.entry("data").or_insert(Value::Null);
    }
}

/// The event that was taken over is of a version of its own.
fn event_inherited_1(payload: &mut Value) {
    let Some(inherited) = payload.get_mut("EventInherited") else { return };
    let version = inherited["version"].as_str().unwrap_or_default().to_owned();
    let event_type = inherited["event"].as_object().and_then(|event| event.keys().next()).cloned().unwrap_or_default();
    if let Some(upcast) = upcaster(&event_type, &version) {
        upcast(&mut inherited["event"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunEvent;
    use crate::{CanonicalJson, DecisionMade};

    const DECISION_MADE: [(&str, &str); 2] = [
        ("1", include_str!("../fixtures/decision_made_v1.json")),
        ("2", include_str!("../fixtures/decision_made_v2.json")),
    ];

    fn decision(version: &str, payload: &str) -> Result<Box<DecisionMade>, Unreadable> {
        read("DecisionMade", version, payload).map(|event| match event {
            RunEvent::DecisionMade(made) => made,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_decision_of_every_version_ever_recorded_is_read() {
        for (version, payload) in DECISION_MADE {
            let made = decision(version, payload).unwrap();
            assert!(made.allow);
            assert_eq!(made.evaluation.data.is_some(), version != "1");
        }
    }

    #[test]
    fn the_last_fixture_is_of_the_present_version_and_shape() {
        let (version, payload) = DECISION_MADE[DECISION_MADE.len() - 1];
        let made = decision(version, payload).unwrap();
        assert_eq!(version, DecisionMade::VERSION);
        assert_eq!(CanonicalJson::of(&RunEvent::DecisionMade(made)).unwrap().as_str(), payload.trim_end());
    }

    #[test]
    fn events_of_a_run_of_every_version_ever_recorded_are_read_and_written_as_they_were() {
        for (event_type, version, payload) in [
            ("PlannerConsulted", "1", include_str!("../fixtures/planner_consulted_v1.json")),
            ("PlannerConsulted", "2", include_str!("../fixtures/planner_consulted_v2.json")),
            ("RunStarted", "1", include_str!("../fixtures/run_started_v1.json")),
            ("RunStarted", "2", include_str!("../fixtures/run_started_v2.json")),
            ("RunStarted", "3", include_str!("../fixtures/run_started_v3.json")),
            ("RunForked", "1", include_str!("../fixtures/run_forked_v1.json")),
            ("EventInherited", "1", include_str!("../fixtures/event_inherited_v1.json")),
            ("RecordingMissing", "1", include_str!("../fixtures/recording_missing_v1.json")),
            ("ToolCallCompleted", "2", include_str!("../fixtures/tool_call_completed_v2.json")),
        ] {
            let event: RunEvent = read(event_type, version, payload).unwrap();
            assert_eq!(CanonicalJson::of(&event).unwrap().as_str(), payload.trim_end());
            let other = if version == "1" { "2" } else { "1" };
            assert!(matches!(read::<RunEvent>(event_type, other, payload), Err(Unreadable::Version { .. })));
        }
    }

    #[test]
    fn an_event_that_was_taken_over_in_an_older_version_is_brought_to_the_present_one() {
        let (version, payload) = DECISION_MADE[0];
        let inherited =
            format!(r#"{{"EventInherited":{{"event":{payload},"position":1,"sequence":1,"version":"{version}"}}}}"#);
        let event: RunEvent = read("EventInherited", "1", &inherited).unwrap();
        assert!(matches!(event.itself(), RunEvent::DecisionMade(made) if made.evaluation.data.is_none()));
    }

    #[test]
    fn a_version_that_is_not_known_is_refused_by_its_number() {
        let (_, payload) = DECISION_MADE[1];
        let error = decision("3", payload).unwrap_err();
        assert_eq!(error.to_string(), "version 3 of DecisionMade is not known: update this installation");
        let paused = read::<RunEvent>("RunPaused", "2", "{\"RunPaused\":{\"reason\":\"x\"}}");
        assert!(matches!(paused, Err(Unreadable::Version { .. })));
    }
}
