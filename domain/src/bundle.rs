//! The bundle aggregate: the history of the law of one installation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::governed::{Command, Governed, Refusal, settle};
use crate::input::command_inquiry;
use crate::{Content, Context, Decider, DecisionMade, Digest, Event, Inquiry, Intent};

/// A policy bundle by content: every module and the data, each under its own digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Digest of the whole.
    pub digest: Digest,
    /// Rego modules by path.
    pub modules: BTreeMap<String, Content>,
    /// The data document.
    pub data: Content,
    /// How many policy tests passed at publication.
    pub tests_passed: u32,
}

/// A fact about the law.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BundleEvent {
    /// The law in force answered on its own change.
    DecisionMade(Box<DecisionMade>),
    /// A bundle passed the gate and is kept for ever.
    BundlePublished(Box<Manifest>),
    /// A bundle decides from here on.
    BundleActivated {
        /// Which.
        digest: Digest,
        /// Which it replaces.
        previous: Option<Digest>,
    },
    /// A bundle may not be activated again.
    BundleRetired {
        /// Which.
        digest: Digest,
        /// Why.
        reason: String,
    },
}

impl Event for BundleEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => "DecisionMade",
            Self::BundlePublished(_) => "BundlePublished",
            Self::BundleActivated { .. } => "BundleActivated",
            Self::BundleRetired { .. } => "BundleRetired",
        }
    }

    fn event_version(&self) -> &'static str {
        match self {
            Self::DecisionMade(_) => DecisionMade::VERSION,
            _ => "1",
        }
    }
}

/// All bundles ever published, and the one in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundles {
    published: BTreeMap<Digest, Manifest>,
    active: Option<Digest>,
}

impl Bundles {
    /// The bundle in force.
    pub fn active(&self) -> Option<&Manifest> {
        self.active.and_then(|digest| self.published.get(&digest))
    }

    /// Any published bundle.
    pub fn published(&self, digest: &Digest) -> Option<&Manifest> {
        self.published.get(digest)
    }
}

/// A command to the law.
#[derive(Clone, Debug)]
pub enum BundleAct {
    /// Keep a bundle that passed the gate. The same bundle again changes nothing.
    Publish(Box<Manifest>),
    /// Let it decide.
    Activate(Digest),
}

impl Governed for Bundles {
    type Act = BundleAct;

    /// An installation's first bundle comes without an intent: there is no law yet to ask.
    fn inquiries(&self, _: &BundleAct, intent: Option<&Intent>, context: &Context) -> Result<Vec<Inquiry>, Refusal> {
        intent.map(|intent| command_inquiry(None, intent, context)).into_iter().collect()
    }
}

impl Decider for Bundles {
    const TYPE: &'static str = "bundle";
    type Command = Command<BundleAct>;
    type Event = BundleEvent;
    type Refusal = Refusal;

    fn decide(&self, command: &Command<BundleAct>) -> Result<Vec<BundleEvent>, Refusal> {
        let inquiries = self.inquiries(&command.act, command.intent.as_ref(), &command.context)?;
        let decisions = settle(command, &inquiries)?;
        let event = match &command.act {
            BundleAct::Publish(manifest) if self.published.contains_key(&manifest.digest) => return Ok(Vec::new()),
            BundleAct::Publish(manifest) => BundleEvent::BundlePublished(manifest.clone()),
            BundleAct::Activate(digest) if !self.published.contains_key(digest) => {
                return Err(Refusal::NotFound { what: "published bundle", id: digest.to_string() });
            }
            BundleAct::Activate(digest) if self.active == Some(*digest) => return Ok(Vec::new()),
            BundleAct::Activate(digest) => BundleEvent::BundleActivated { digest: *digest, previous: self.active },
        };
        Ok(decisions.into_iter().map(|d| BundleEvent::DecisionMade(Box::new(d))).chain([event]).collect())
    }

    fn evolve(&mut self, event: &BundleEvent) {
        match event {
            BundleEvent::DecisionMade(_) => {}
            BundleEvent::BundlePublished(manifest) => {
                self.published.insert(manifest.digest, (**manifest).clone());
            }
            BundleEvent::BundleActivated { digest, .. } => self.active = Some(*digest),
            BundleEvent::BundleRetired { digest, .. } => {
                self.published.remove(digest);
                self.active = self.active.filter(|active| active != digest);
            }
        }
    }
}
