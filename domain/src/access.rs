//! The access aggregate: decisions that belong to no run. A log, one stream per tenant and day.

use serde::{Deserialize, Serialize};

use crate::{Decider, DecisionMade, Event, Intent};

/// What is recorded of requests that belong to no run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessEvent {
    /// A refused command, or a read of the record.
    DecisionMade(Box<DecisionMade>),
    /// A command that the law allowed and the state refused, where who tried must be known: one about an approval.
    CommandRefused {
        /// What was asked, by whom.
        command: Box<Intent>,
        /// A stable code, for example `approval_used`.
        code: String,
        /// For people.
        message: String,
    },
}

impl Event for AccessEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => "DecisionMade",
            Self::CommandRefused { .. } => "CommandRefused",
        }
    }

    fn event_version(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => DecisionMade::VERSION,
            Self::CommandRefused { .. } => "1",
        }
    }
}

/// The log has no state: it never refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {}

/// Never returned: recording a decision cannot be refused.
#[derive(Debug, thiserror::Error)]
pub enum AccessRefusal {}

impl Decider for Access {
    const TYPE: &'static str = "access";
    type Command = Box<DecisionMade>;
    type Event = AccessEvent;
    type Refusal = AccessRefusal;

    fn decide(&self, command: &Self::Command) -> Result<Vec<AccessEvent>, AccessRefusal> {
        Ok(vec![AccessEvent::DecisionMade(command.clone())])
    }

    fn evolve(&mut self, _event: &AccessEvent) {}
}
