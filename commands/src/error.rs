//! Why a command did not go through, by what its caller would do differently.

use xagent_domain::DecisionMade;
use xagent_domain::governed::Refusal;
use xagent_ledger::LedgerError;
use xagent_policies::Finding;

/// What is wrong with the caller's input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct InvalidInput {
    /// JSON pointer of the field at fault.
    pub field: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl InvalidInput {
    /// `field` is wrong because of `message`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// A command that did not go through.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The law said no; the denial is recorded.
    #[error("denied by policy")]
    Denied(Box<DecisionMade>),
    /// The aggregate's state does not allow it.
    #[error(transparent)]
    Refused(Refusal),
    /// The input is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The bundle does not pass the gate.
    #[error("the bundle does not pass: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unfit(Vec<Finding>),
    /// The ledger said no or is away.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The stream is not where the caller expects it.
    #[error("the run is at sequence {current}, and the command is meant for {expected}")]
    Moved {
        /// Where the caller saw it.
        expected: u64,
        /// Where it is.
        current: u64,
    },
    /// Others kept writing the same stream.
    #[error("the stream {0} is too busy: try again")]
    Contended(String),
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(decision) => Self::Denied(decision),
            other => Self::Refused(other),
        }
    }
}
