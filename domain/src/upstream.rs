//! The upstream aggregate: an MCP server whose tools may be discovered and registered, as declared.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::governed::{Command, Governed, Refusal, settle};
use crate::input::command_inquiry;
use crate::{CanonicalJson, Context, Decider, DecisionMade, Digest, Event, Inquiry, Intent};

/// What stands between an upstream's name and that of its tool. No built-in tool has it in its name, so no upstream's tool
/// can take the place of one.
pub const SEPARATOR: &str = "__";

/// A value given to an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// This text, which is no secret: it is recorded.
    Value(String),
    /// The secret of this name, which only the server knows.
    Secret(String),
}

/// How an upstream is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reach {
    /// As a child process that speaks over its standard input and output.
    Stdio {
        /// The program, as an absolute path.
        program: String,
        /// Its arguments.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<String>,
        /// All of its environment.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        environment: BTreeMap<String, Setting>,
    },
    /// By streamable HTTP.
    Http {
        /// Where.
        url: String,
        /// Headers sent with every request.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, Setting>,
    },
}

/// An MCP server, as it was declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// The prefix of the names of its tools.
    pub name: String,
    /// How it is reached.
    pub reach: Reach,
    /// How many of its tools may be at work at once.
    pub concurrency: u32,
    /// How long one of its tools may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Declaration {
    /// Digest of the whole declaration.
    pub fn digest(&self) -> Result<Digest, Refusal> {
        CanonicalJson::of(self).map(|text| text.digest()).map_err(|error| Refusal::Input(error.to_string()))
    }
}

/// A fact about an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpstreamEvent {
    /// The law answered.
    DecisionMade(Box<DecisionMade>),
    /// It is reached like this from now on.
    UpstreamDeclared(Box<Declaration>),
    /// None of its tools is called any more.
    UpstreamWithdrawn {
        /// Why.
        reason: String,
    },
}

impl Event for UpstreamEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => "DecisionMade",
            Self::UpstreamDeclared(_) => "UpstreamDeclared",
            Self::UpstreamWithdrawn { .. } => "UpstreamWithdrawn",
        }
    }

    fn event_version(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => DecisionMade::VERSION,
            Self::UpstreamDeclared(_) | Self::UpstreamWithdrawn { .. } => "1",
        }
    }
}

/// An upstream of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    declaration: Option<Declaration>,
}

impl Upstream {
    /// The declaration in force.
    pub fn declaration(&self) -> Option<&Declaration> {
        self.declaration.as_ref()
    }
}

/// A command to an upstream.
#[derive(Clone, Debug)]
pub enum UpstreamAct {
    /// Declare it, or change its declaration. The same declaration again changes nothing.
    Declare(Box<Declaration>),
    /// Withdraw it.
    Withdraw {
        /// Why.
        reason: String,
    },
}

impl Governed for Upstream {
    type Act = UpstreamAct;

    fn inquiries(&self, _: &UpstreamAct, intent: Option<&Intent>, context: &Context) -> Result<Vec<Inquiry>, Refusal> {
        intent.map(|intent| command_inquiry(None, intent, context)).into_iter().collect()
    }
}

impl Decider for Upstream {
    const TYPE: &'static str = "upstream";
    type Command = Command<UpstreamAct>;
    type Event = UpstreamEvent;
    type Refusal = Refusal;

    fn decide(&self, command: &Command<UpstreamAct>) -> Result<Vec<UpstreamEvent>, Refusal> {
        let inquiries = self.inquiries(&command.act, command.intent.as_ref(), &command.context)?;
        let decisions = settle(command, &inquiries)?;
        let event = match &command.act {
            UpstreamAct::Declare(new) if self.declaration.as_ref() == Some(new) => return Ok(Vec::new()),
            UpstreamAct::Declare(new) => UpstreamEvent::UpstreamDeclared(new.clone()),
            UpstreamAct::Withdraw { .. } if self.declaration.is_none() => {
                return Err(Refusal::conflict("upstream_not_declared", "the upstream is not declared"));
            }
            UpstreamAct::Withdraw { reason } => UpstreamEvent::UpstreamWithdrawn { reason: reason.clone() },
        };
        Ok(decisions.into_iter().map(|made| UpstreamEvent::DecisionMade(Box::new(made))).chain([event]).collect())
    }

    fn evolve(&mut self, event: &UpstreamEvent) {
        match event {
            UpstreamEvent::DecisionMade(_) => {}
            UpstreamEvent::UpstreamDeclared(declaration) => self.declaration = Some((**declaration).clone()),
            UpstreamEvent::UpstreamWithdrawn { .. } => self.declaration = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(timeout_ms: u64) -> Declaration {
        let reach = Reach::Http { url: "https://mcp.example.com/mcp".to_owned(), headers: BTreeMap::default() };
        Declaration { name: "search".to_owned(), reach, concurrency: 4, timeout_ms }
    }

    fn decided(upstream: &Upstream, act: UpstreamAct) -> Result<Vec<UpstreamEvent>, Refusal> {
        let context = Context::new(0, crate::Usage::default());
        upstream.decide(&Command { act, intent: None, context, rulings: Vec::new() })
    }

    #[test]
    fn an_upstream_is_declared_once_changed_and_withdrawn() {
        let mut upstream = Upstream::default();
        let withdraw = || UpstreamAct::Withdraw { reason: "worn out".to_owned() };
        assert!(matches!(decided(&upstream, withdraw()), Err(Refusal::Conflict { code: "upstream_not_declared", .. })));
        for timeout_ms in [1000, 2000] {
            let act = || UpstreamAct::Declare(Box::new(declared(timeout_ms)));
            let events = decided(&upstream, act()).unwrap();
            assert_eq!(events, [UpstreamEvent::UpstreamDeclared(Box::new(declared(timeout_ms)))]);
            events.iter().for_each(|event| upstream.evolve(event));
            assert_eq!(decided(&upstream, act()).unwrap(), [], "the same again changes nothing");
        }
        decided(&upstream, withdraw()).unwrap().iter().for_each(|event| upstream.evolve(event));
        assert_eq!(upstream, Upstream::default());
    }
}
