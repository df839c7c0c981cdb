//! The frame every governed command comes in: the act, who means it, the circumstances, the decisions.

use std::fmt::Debug;

use crate::{Context, Decider, DecisionMade, Digest, Inquiry, Intent, Ruling, RulingError};

/// An act with everything that `decide` needs to judge it.
#[derive(Clone, Debug)]
pub struct Command<A> {
    /// What is to be done.
    pub act: A,
    /// Who means it; none where the worker records what has already happened.
    pub intent: Option<Intent>,
    /// The recorded clock and counters.
    pub context: Context,
    /// One decision per inquiry, in order.
    pub rulings: Vec<Ruling>,
}

/// An aggregate whose commands the law decides.
pub trait Governed: Decider<Command = Command<Self::Act>, Refusal = Refusal> {
    /// What may be asked of it.
    type Act: Clone + Debug + Send + Sync + 'static;

    /// The bundle that answers for tool calls, where it is not the one in force.
    fn law(&self) -> Option<Digest> {
        None
    }

    /// What the law has to be asked, on this very state, before `act` may be decided.
    fn inquiries(&self, act: &Self::Act, intent: Option<&Intent>, context: &Context) -> Result<Vec<Inquiry>, Refusal>;
}

/// Why a command was refused. Only deciders make these.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The law says no.
    #[error("denied by policy: {}", reasons(.0))]
    Denied(Box<DecisionMade>),
    /// The decision does not fit the state: it has moved on, or the caller mixed them up.
    #[error(transparent)]
    Ruling(#[from] RulingError),
    /// The state does not allow it.
    #[error("{message}")]
    Conflict {
        /// A stable code.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// There is no such thing.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// For example `run`.
        what: &'static str,
        /// Its id, as given.
        id: String,
    },
    /// The policy input has no canonical form.
    #[error("the policy input cannot be built: {0}")]
    Input(String),
}

impl Refusal {
    /// A conflict with the state.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    /// Code and message of a refusal that is recorded: somebody tried to use an approval for what it is not good for.
    pub fn of_an_approval(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Conflict {
                code:
                    code @ ("approval_answered" | "approval_expired" | "approval_used" | "other_arguments" | "other_tool"),
                message,
            } => Some((code, message)),
            _ => None,
        }
    }
}

fn reasons(decision: &DecisionMade) -> String {
    decision.deny.iter().map(|r| format!("{} ({})", r.code, r.message)).collect::<Vec<_>>().join(", ")
}

/// Matches the command's decisions with the inquiries of this state; the first is the command's own.
///
/// A denial of the command itself refuses it; a denial of a tool call is a fact to be recorded.
pub(crate) fn settle<A>(command: &Command<A>, inquiries: &[Inquiry]) -> Result<Vec<DecisionMade>, Refusal> {
    if inquiries.len() != command.rulings.len() {
        return Err(RulingError::Count { questions: inquiries.len(), rulings: command.rulings.len() }.into());
    }
    let pairs = command.rulings.iter().zip(inquiries);
    let decisions =
        pairs.map(|(ruling, inquiry)| ruling.answering(inquiry, &command.context)).collect::<Result<Vec<_>, _>>()?;
    match decisions.first() {
        Some(first) if command.intent.is_some() && !first.allow => Err(Refusal::Denied(Box::new(first.clone()))),
        _ => Ok(decisions),
    }
}
