//! The tool aggregate: what may be called, as registered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::governed::{Command, Governed, Refusal, settle};
use crate::input::command_inquiry;
use crate::run::{ArgumentRole, ArgumentUse, Executor, ToolFacts, argument_uses};
use crate::{CanonicalJson, Context, Decider, DecisionMade, Digest, Event, Inquiry, Intent};

/// What a tool is and how its arguments are to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Its name.
    pub name: String,
    /// For planners.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments, as canonical JSON.
    pub schema: CanonicalJson,
    /// JSON Schema of what it gives back where it does what it was asked, as canonical JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<CanonicalJson>,
    /// Who runs it.
    pub executor: Executor,
    /// `low`, `medium` or `high`.
    pub risk: String,
    /// Whether running it twice is the same as once.
    #[serde(default)]
    pub idempotent: bool,
    /// Whether it changes something outside the run.
    #[serde(default)]
    pub consequential: bool,
    /// Whether its output comes from sources nobody vouches for.
    #[serde(default)]
    pub reads_untrusted: bool,
    /// Arguments that are workspace paths.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Arguments that are URLs.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Arguments that are code, with their language; `$ARGUMENT` is the language that another argument names.
    #[serde(default)]
    pub code: std::collections::BTreeMap<String, String>,
    /// Whether its output is the principal's own data, so that values in it are vouched for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trusted_source: bool,
    /// What arguments are for. Where it is consequential, an argument without a role is one nobody can vouch for.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub roles: std::collections::BTreeMap<String, ArgumentRole>,
    /// The upstream's tool it was registered from; none where it is no upstream's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ToolSource>,
}

/// The tool of an upstream that a registration was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolSource {
    /// The upstream's name.
    pub upstream: String,
    /// What the upstream calls it.
    pub tool: String,
    /// Digest of its name, description and schemas: what says something else is another tool.
    pub pin: Digest,
}

impl Registration {
    /// Digest of the whole registration: a changed description or schema is another tool.
    pub fn digest(&self) -> Result<Digest, Refusal> {
        CanonicalJson::of(self).map(|text| text.digest()).map_err(|e| Refusal::Input(e.to_string()))
    }

    /// The values of a call's arguments that somebody must vouch for; none where the call changes nothing.
    pub fn values(&self, arguments: &serde_json::Value) -> Vec<ArgumentUse> {
        if self.consequential { argument_uses(&self.roles, arguments) } else { Vec::new() }
    }

    /// What a call records of it.
    pub fn facts(&self) -> Result<ToolFacts, Refusal> {
        Ok(ToolFacts {
            name: self.name.clone(),
            digest: self.digest()?,
            risk: self.risk.clone(),
            idempotent: self.idempotent,
            consequential: self.consequential,
            reads_untrusted: self.reads_untrusted,
            executor: self.executor,
            trusted_source: self.trusted_source,
            roles: self.roles.clone(),
        })
    }
}

/// A fact about a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToolEvent {
    /// The law answered.
    DecisionMade(Box<DecisionMade>),
    /// It may be called as this from now on.
    ToolRegistered(Box<Registration>),
    /// It may not be called any more.
    ToolRetired {
        /// Why.
        reason: String,
    },
}

impl Event for ToolEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => "DecisionMade",
            Self::ToolRegistered(_) => "ToolRegistered",
            Self::ToolRetired { .. } => "ToolRetired",
        }
    }
}

/// A tool of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    registration: Option<Registration>,
}

impl Tool {
    /// The registration in force.
    pub fn registration(&self) -> Option<&Registration> {
        self.registration.as_ref()
    }
}

/// A command to a tool.
#[derive(Clone, Debug)]
pub enum ToolAct {
    /// Register it, or change its registration. The same registration again changes nothing.
    Register(Box<Registration>),
    /// Retire it.
    Retire {
        /// Why.
        reason: String,
    },
}

impl Governed for Tool {
    type Act = ToolAct;

    fn inquiries(&self, _: &ToolAct, intent: Option<&Intent>, context: &Context) -> Result<Vec<Inquiry>, Refusal> {
        intent.map(|intent| command_inquiry(None, intent, context)).into_iter().collect()
    }
}

impl Decider for Tool {
    const TYPE: &'static str = "tool";
    type Command = Command<ToolAct>;
    type Event = ToolEvent;
    type Refusal = Refusal;

    fn decide(&self, command: &Command<ToolAct>) -> Result<Vec<ToolEvent>, Refusal> {
        let inquiries = self.inquiries(&command.act, command.intent.as_ref(), &command.context)?;
        let decisions = settle(command, &inquiries)?.into_iter().map(|d| ToolEvent::DecisionMade(Box::new(d)));
        let event = match &command.act {
            // What is registered already stays as it is; that somebody was allowed to register it is on the record.
            ToolAct::Register(new) if self.registration.as_ref() == Some(new) => return Ok(decisions.collect()),
            ToolAct::Register(new) => ToolEvent::ToolRegistered(new.clone()),
            ToolAct::Retire { .. } if self.registration.is_none() => {
                return Err(Refusal::conflict("tool_not_registered", "the tool is not registered"));
            }
            ToolAct::Retire { reason } => ToolEvent::ToolRetired { reason: reason.clone() },
        };
        Ok(decisions.chain([event]).collect())
    }

    fn evolve(&mut self, event: &ToolEvent) {
        match event {
            ToolEvent::DecisionMade(_) => {}
            ToolEvent::ToolRegistered(registration) => self.registration = Some((**registration).clone()),
            ToolEvent::ToolRetired { .. } => self.registration = None,
        }
    }
}
