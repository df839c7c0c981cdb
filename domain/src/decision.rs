//! The decision record: everything needed to decide again, bit for bit.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CanonicalJson, Content, Context, DecisionId, Digest, Inquiry, Question};

/// The rule path asked, for example `xagent/tools/decision`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Entrypoint(String);

impl Entrypoint {
    /// Governs commands and reads.
    pub fn api() -> Self {
        Self("xagent/api/decision".to_owned())
    }

    /// Governs tool calls.
    pub fn tools() -> Self {
        Self("xagent/tools/decision".to_owned())
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rule as Rego writes it, for example `data.xagent.tools.decision`.
    pub fn rule(&self) -> String {
        format!("data.{}", self.0.replace('/', "."))
    }
}

impl fmt::Display for Entrypoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which engine decided, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineIdentity {
    /// For example `regorus`.
    pub name: String,
    /// For example `0.14.1`.
    pub version: String,
    /// For example `interpreter-strict`.
    pub mode: String,
}

/// The bounds an evaluation ran under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Wall time in milliseconds.
    pub timeout_ms: u64,
}

/// Why there is no usable decision document. Each of these denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The entrypoint has no value for this input.
    Undefined,
    /// A rule failed while it was evaluated.
    EvaluationError,
    /// The time limit was reached.
    Timeout,
    /// The limit of instructions was reached.
    InstructionLimit,
    /// The value is not a decision document.
    WrongShape,
    /// The engine does not hold the bundle.
    BundleMissing,
    /// The engine could not be reached, or gave no answer.
    EngineUnavailable,
}

/// What the engine said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A decision document, as canonical bytes.
    Document(CanonicalJson),
    /// None: a denial.
    Failure {
        /// What kind of failure.
        class: FailureClass,
        /// The engine's own words, bounded.
        message: String,
    },
}

/// One evaluation of one entrypoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluation {
    /// The rule asked.
    pub entrypoint: Entrypoint,
    /// Digest of the bundle that answered.
    pub bundle: Digest,
    /// Digest of the bundle's data document; none where no bundle was found, and in version 1 of the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Digest>,
    /// The engine.
    pub engine: EngineIdentity,
    /// Its bounds.
    pub limits: Limits,
    /// Its answer.
    pub outcome: Outcome,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}

/// Why something was denied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// A stable code.
    pub code: String,
    /// The rule that says so.
    #[serde(default)]
    pub rule: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}

/// What must be done before an act may go on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Obligation {
    /// For example `approval`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A decision document, as policies write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Whether the act may go on.
    pub allow: bool,
    /// Why not.
    pub deny: Vec<Reason>,
    /// What would let it go on.
    pub obligations: Vec<Obligation>,
}

impl Document {
    fn failed(class: FailureClass, message: &str) -> Self {
        let class = serde_json::to_value(class).map_or_else(|_| String::new(), |v| v.as_str().unwrap_or("").to_owned());
        let reason =
            Reason { code: "policy_error".to_owned(), rule: String::new(), message: format!("{class}: {message}") };
        Self { allow: false, deny: vec![reason], obligations: Vec::new() }
    }
}

impl Outcome {
    /// The document, with every failure read as a denial coded `policy_error`.
    pub fn document(&self) -> Document {
        match self {
            Self::Document(text) => match serde_json::from_str::<Document>(text.as_str()) {
                Ok(document) if !document.allow || document.deny.is_empty() => document,
                Ok(_) => Document::failed(FailureClass::WrongShape, "allow is true beside deny reasons"),
                Err(error) => Document::failed(FailureClass::WrongShape, &error.to_string()),
            },
            Self::Failure { class, message } => Document::failed(*class, message),
        }
    }
}

/// An answer on its way into a decider: the evaluation and the input it was made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The id the decision will have.
    pub decision: DecisionId,
    /// The input the engine was given.
    pub input: Content,
    /// What it answered.
    pub evaluation: Evaluation,
}

/// A ruling that does not answer the question at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulingError {
    /// Made on another input, so on another state.
    #[error("the decision was made on input {given}, but this state asks {expected}")]
    OtherInput {
        /// The digest of the input this state asks about.
        expected: Digest,
        /// The digest of the input the ruling was made on.
        given: Digest,
    },
    /// Made by another rule.
    #[error("the decision was made by `{given}`, but `{expected}` governs this")]
    OtherEntrypoint {
        /// The rule that governs.
        expected: Entrypoint,
        /// The rule that was asked.
        given: Entrypoint,
    },
    /// Made by another bundle than the run is under.
    #[error("the decision was made by the bundle {given}, but the run is under {expected}")]
    OtherBundle {
        /// The bundle the run is under.
        expected: Digest,
        /// The bundle that was asked.
        given: Digest,
    },
    /// There are not as many rulings as questions.
    #[error("{questions} questions came with {rulings} decisions")]
    Count {
        /// How many questions there are.
        questions: usize,
        /// How many rulings came in.
        rulings: usize,
    },
}

impl Ruling {
    /// The decision as it will be recorded, if it was made on exactly this inquiry.
    pub fn answering(&self, inquiry: &Inquiry, context: &Context) -> Result<DecisionMade, RulingError> {
        let expected = inquiry.input.digest();
        if self.input.digest != expected {
            return Err(RulingError::OtherInput { expected, given: self.input.digest });
        }
        let entrypoint = inquiry.question.entrypoint();
        if self.evaluation.entrypoint != entrypoint {
            return Err(RulingError::OtherEntrypoint {
                expected: entrypoint,
                given: self.evaluation.entrypoint.clone(),
            });
        }
        let document = self.evaluation.outcome.document();
        Ok(DecisionMade {
            decision: self.decision,
            question: inquiry.question.clone(),
            context: context.clone(),
            input: self.input.clone(),
            evaluation: self.evaluation.clone(),
            allow: document.allow,
            deny: document.deny,
            obligations: document.obligations,
        })
    }
}

/// A decision, recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionMade {
    /// Its id.
    pub decision: DecisionId,
    /// What was asked.
    pub question: Question,
    /// The recorded clock and counters.
    pub context: Context,
    /// The canonical input, inline or by digest.
    pub input: Content,
    /// Who answered what.
    pub evaluation: Evaluation,
    /// The answer.
    pub allow: bool,
    /// The reasons of a denial.
    pub deny: Vec<Reason>,
    /// What would let it go on.
    pub obligations: Vec<Obligation>,
}

impl DecisionMade {
    /// The version of the record's shape, of which every aggregate that records decisions makes use.
    pub const VERSION: &str = "2";

    /// Whether an approval would be enough.
    pub fn asks_for_approval(&self) -> bool {
        !self.allow && self.obligations.iter().any(|o| o.kind == "approval")
    }
}
