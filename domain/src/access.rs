//! The access aggregate: decisions and refusals that belong to no run. A log, one stream per tenant and day.

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
    /// Requests that were sent away before the law was asked: nobody known came, or somebody too often. Those of whom
    /// nobody is known are in the log of the tenant `default`: a tenant that is only claimed is nobody's.
    RequestsRefused {
        /// Equal ones together.
        refused: Vec<RefusedRequests>,
    },
}

/// Requests that were refused for the same reason within a moment. No token, no secret and no address is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRequests {
    /// A stable code, for example `expired`; the list is in `docs/auth.md`.
    pub reason: String,
    /// What came with them: `none`, `token`, `api_key` or `other`.
    pub credential: String,
    /// The key the credential named, where it named one that can be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Who asked, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The method.
    pub method: String,
    /// The route, as a template: what is in a path is the caller's.
    pub route: String,
    /// Where from: `loopback`, `private` or `public`.
    pub remote: String,
    /// How many.
    pub count: u64,
    /// When the first came, in microseconds since 1970.
    pub first_us: i64,
    /// When the last came, in microseconds since 1970.
    pub last_us: i64,
    /// The trace of the first.
    pub trace_id: String,
}

impl Event for AccessEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => "DecisionMade",
            Self::CommandRefused { .. } => "CommandRefused",
            Self::RequestsRefused { .. } => "RequestsRefused",
        }
    }

    fn event_version(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => DecisionMade::VERSION,
            Self::CommandRefused { .. } | Self::RequestsRefused { .. } => "1",
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
