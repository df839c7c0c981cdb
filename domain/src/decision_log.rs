//! The decision_log aggregate: decisions that stock OPA servers made and reported. One stream per batch; kept as they came.

use serde::{Deserialize, Serialize};

use crate::governed::{Command, Governed, Refusal, settle};
use crate::input::command_inquiry;
use crate::{Content, Context, Decider, DecisionMade, Event, Inquiry, Intent};

/// A decision another engine made, as it was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// The id it was reported under.
    pub decision_id: String,
    /// The rule asked; empty where it was a query of another kind.
    pub path: String,
    /// The decision-log event, byte for byte.
    pub event: Content,
}

/// What is recorded of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecisionLogEvent {
    /// Whoever reported it may.
    DecisionMade(Box<DecisionMade>),
    /// A decision was reported.
    DecisionLogged(Box<Logged>),
}

impl Event for DecisionLogEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => "DecisionMade",
            Self::DecisionLogged(_) => "DecisionLogged",
        }
    }

    fn event_version(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => DecisionMade::VERSION,
            Self::DecisionLogged(_) => "1",
        }
    }
}

/// A log has no state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionLog {}

impl Governed for DecisionLog {
    type Act = Vec<Logged>;

    fn inquiries(&self, _: &Vec<Logged>, intent: Option<&Intent>, context: &Context) -> Result<Vec<Inquiry>, Refusal> {
        intent.map(|intent| command_inquiry(None, intent, context)).into_iter().collect()
    }
}

impl Decider for DecisionLog {
    const TYPE: &'static str = "decision_log";
    type Command = Command<Vec<Logged>>;
    type Event = DecisionLogEvent;
    type Refusal = Refusal;

    fn decide(&self, command: &Self::Command) -> Result<Vec<DecisionLogEvent>, Refusal> {
        let inquiries = self.inquiries(&command.act, command.intent.as_ref(), &command.context)?;
        let decisions = settle(command, &inquiries)?.into_iter().map(|d| DecisionLogEvent::DecisionMade(Box::new(d)));
        let logged = command.act.iter().map(|logged| DecisionLogEvent::DecisionLogged(Box::new(logged.clone())));
        Ok(decisions.chain(logged).collect())
    }

    fn evolve(&mut self, _: &DecisionLogEvent) {}
}
