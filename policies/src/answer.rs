//! What an engine's answer amounts to: a decision document, or a failure, which denies. For every engine, so that none
//! reads an answer in a way of its own.

use serde::Serialize;
use xagent_domain::{CanonicalJson, Document, FailureClass, Outcome};

/// An engine's words are cut to this many characters.
const LONGEST_MESSAGE: usize = 500;

/// The outcome where a rule has this value.
pub fn document(value: &impl Serialize) -> Outcome {
    let canonical = match CanonicalJson::of(value) {
        Ok(canonical) => canonical,
        Err(error) => return failure(FailureClass::WrongShape, &error.to_string()),
    };
    match serde_json::from_str::<Document>(canonical.as_str()) {
        Ok(document) if document.allow && !document.deny.is_empty() => {
            failure(FailureClass::WrongShape, "allow is true beside deny reasons")
        }
        Ok(_) => Outcome::Document(canonical),
        Err(error) => failure(FailureClass::WrongShape, &error.to_string()),
    }
}

/// The outcome where a rule has no value.
pub fn undefined() -> Outcome {
    failure(FailureClass::Undefined, "the rule has no value for this input")
}

/// The outcome where there is no answer, with the engine's words, bounded.
pub fn failure(class: FailureClass, message: &str) -> Outcome {
    Outcome::Failure { class, message: bounded(message) }
}

pub(crate) fn bounded(message: &str) -> String {
    message.chars().take(LONGEST_MESSAGE).collect()
}
