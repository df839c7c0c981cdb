//! A policy input as the engine holds it: parsed once, for every bundle that is asked about it.

use regorus::Value;
use xagent_domain::{CanonicalJson, FailureClass, Outcome};

use crate::answer::failure;

/// An input, parsed. One that is no JSON is answered with a failure by every bundle.
pub struct ParsedInput(Result<Value, String>);

impl ParsedInput {
    /// Parses an input.
    pub fn parse(input: &CanonicalJson) -> Self {
        Self(Value::from_json_str(input.as_str()).map_err(|error| format!("{error:#}")))
    }

    /// The value; it is shared, not copied.
    pub(crate) fn value(&self) -> Result<Value, Outcome> {
        self.0.clone().map_err(|error| failure(FailureClass::EvaluationError, &error))
    }
}
