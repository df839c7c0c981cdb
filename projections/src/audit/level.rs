//! How much an event matters to who watches, and which decision it is about.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use xagent_domain::Recorded;

/// The value of the label `level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Info,
    /// Somebody or something was refused, or stopped by a person.
    Warn,
    /// Something failed, or a decision could not be made.
    Error,
}

/// What an event's payload says about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    pub level: Level,
    /// The decision it is, or the one it rests on.
    pub decision: Option<String>,
}

/// The fields of any payload that matter here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fact {
    decision: Option<String>,
    allow: Option<bool>,
    obligations: Vec<serde::de::IgnoredAny>,
    evaluation: Evaluation,
    outcome: ToolOutcome,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Evaluation {
    outcome: Outcome,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Outcome {
    failure: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToolOutcome {
    succeeded: Option<bool>,
}

impl Level {
    /// As labels write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an event says. Events of kinds unknown here are as they should be.
pub fn told(event: &Recorded) -> Told {
    let fact = match event.event_type.as_str() {
        "DecisionMade" | "ToolCallStarted" | "ToolCallCompleted" => {
            let facts = serde_json::from_str::<HashMap<String, Fact>>(&event.payload).unwrap_or_default();
            facts.into_values().next().unwrap_or_default()
        }
        _ => Fact::default(),
    };
    let level = match event.event_type.as_str() {
        "DecisionMade" => match (fact.allow, fact.evaluation.outcome.failure.is_some(), fact.obligations.is_empty()) {
            (_, true, _) => Level::Error,
            (Some(false), false, true) => Level::Warn,
            _ => Level::Info,
        },
        "ToolCallCompleted" if fact.outcome.succeeded == Some(false) => Level::Error,
        "ToolCallInterrupted" | "RunFailed" | "GoalFailed" => Level::Error,
        "ToolCallRejected" | "ApprovalRefused" | "RunPaused" | "RunCancelled" => Level::Warn,
        "CommandRefused" | "RequestsRefused" => Level::Warn,
        _ => Level::Info,
    };
    Told { level, decision: fact.decision }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::event;
    use super::*;

    #[test]
    fn denials_warn_failures_are_errors_and_what_waits_for_a_person_is_as_it_should_be() {
        let of = |event_type: &str, payload: &str| {
            let told = told(&event(1, event_type, &format!("{{\"{event_type}\":{payload}}}")));
            (told.level, told.decision.unwrap_or_default())
        };
        let made = |rest: &str| of("DecisionMade", &format!("{{\"decision\":\"dec_1\",{rest}}}"));
        let dec = || "dec_1".to_owned();
        assert_eq!(made("\"allow\":true,\"obligations\":[]"), (Level::Info, dec()));
        assert_eq!(made("\"allow\":false,\"obligations\":[]"), (Level::Warn, dec()));
        assert_eq!(made("\"allow\":false,\"obligations\":[{\"type\":\"approval\"}]"), (Level::Info, dec()));
        let failed =
            "\"allow\":false,\"obligations\":[],\"evaluation\":{\"outcome\":{\"failure\":{\"class\":\"timeout\"}}}";
        assert_eq!(made(failed), (Level::Error, dec()));
        let fine = "\"allow\":true,\"obligations\":[],\"evaluation\":{\"outcome\":{\"document\":\"{}\"}}";
        assert_eq!(made(fine), (Level::Info, dec()));
        assert_eq!(of("ToolCallCompleted", "{\"outcome\":{\"succeeded\":false}}").0, Level::Error);
        assert_eq!(of("ToolCallCompleted", "{\"outcome\":{\"succeeded\":true}}").0, Level::Info);
        assert_eq!(of("RunFailed", "{\"reason\":\"x\"}").0, Level::Error);
        assert_eq!(of("RunCancelled", "{\"reason\":\"x\"}").0, Level::Warn);
        assert_eq!(of("SomethingNew", "7"), (Level::Info, String::new()));
    }
}
