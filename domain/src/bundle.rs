//! The bundle aggregate: the history of the law of one installation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::governed::{Command, Governed, Refusal, settle};
use crate::input::command_inquiry;
use crate::{Content, Context, Decider, DecisionMade, Digest, Event, Inquiry, Intent};

mod replayed;

pub use replayed::Replayed;

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
    /// What else was known at publication; version 1 of the event recorded nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publication: Option<Publication>,
}

/// What is known of a bundle beside what it decides by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Publication {
    /// What its maker calls it; empty where they do not.
    pub revision: String,
    /// The paths it owns; one empty path where it owns everything.
    pub roots: Vec<String>,
    /// The id of the key whose signature was checked.
    pub signed_by: Option<String>,
    /// Lines that its tests reached.
    pub lines_covered: u32,
    /// Lines that they could have reached.
    pub lines: u32,
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
        /// Whether it decided before and was returned to; version 1 of the event knew no way back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        rolled_back: bool,
    },
    /// It was reported what history comes to under a bundle.
    ReplayRecorded(Box<Replayed>),
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
            Self::ReplayRecorded(_) => "ReplayRecorded",
        }
    }

    /// What version 1 could say is still said in it, so that its readers go on reading.
    fn event_version(&self) -> &'static str {
        match self {
            Self::BundlePublished(manifest) if manifest.publication.is_some() => "2",
            Self::BundleActivated { rolled_back: true, .. } => "2",
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
    /// Bundles the active one may be rolled back to, the last first; each once.
    #[serde(default)]
    before: Vec<Digest>,
    /// Bundles that may not be activated again, with the reason.
    #[serde(default)]
    retired: BTreeMap<Digest, String>,
}

/// Where a bundle stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BundleStatus {
    /// It may be activated.
    Published,
    /// It decides.
    Active,
    /// It may not be activated again. What it decided is still decided by it when it is decided again.
    Retired,
}

impl Bundles {
    /// The bundle in force.
    pub fn active(&self) -> Option<&Manifest> {
        self.active.and_then(|digest| self.published.get(&digest))
    }

    /// Any published bundle, retired ones too: what they decided must stay decidable.
    pub fn published(&self, digest: &Digest) -> Option<&Manifest> {
        self.published.get(digest)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Manifest> {
        self.published.values()
    }

    /// The bundle a roll-back would return to.
    pub fn previous(&self) -> Option<Digest> {
        self.before.first().copied()
    }

    /// Where a published bundle stands.
    pub fn status(&self, digest: &Digest) -> BundleStatus {
        match (self.active == Some(*digest), self.retired.contains_key(digest)) {
            (true, _) => BundleStatus::Active,
            (false, true) => BundleStatus::Retired,
            (false, false) => BundleStatus::Published,
        }
    }

    /// Why a bundle was retired.
    pub fn retired(&self, digest: &Digest) -> Option<&str> {
        self.retired.get(digest).map(String::as_str)
    }

    fn must_be_usable(&self, digest: &Digest) -> Result<(), Refusal> {
        if !self.published.contains_key(digest) {
            return Err(Refusal::NotFound { what: "published bundle", id: digest.to_string() });
        }
        match self.retired(digest) {
            Some(reason) => Err(Refusal::conflict(
                "bundle_retired",
                format!("the bundle {digest} was retired: {reason}; publish it changed, or activate another"),
            )),
            None => Ok(()),
        }
    }

    fn consequence(&self, act: &BundleAct) -> Result<Option<BundleEvent>, Refusal> {
        let previous = self.active;
        Ok(match act {
            BundleAct::Publish(manifest) if self.published.contains_key(&manifest.digest) => {
                self.must_be_usable(&manifest.digest)?;
                None
            }
            BundleAct::Publish(manifest) => Some(BundleEvent::BundlePublished(manifest.clone())),
            BundleAct::Activate(digest) => {
                self.must_be_usable(digest)?;
                let activated = BundleEvent::BundleActivated { digest: *digest, previous, rolled_back: false };
                (previous != Some(*digest)).then_some(activated)
            }
            BundleAct::RollBack { to } => {
                let Some(digest) = self.previous() else {
                    return Err(Refusal::conflict("nothing_to_roll_back_to", "no bundle was active before this one"));
                };
                if digest != *to {
                    let message =
                        format!("the bundle before this one is {digest} by now, not {to}: look, then try again");
                    return Err(Refusal::conflict("other_bundle_before", message));
                }
                Some(BundleEvent::BundleActivated { digest, previous, rolled_back: true })
            }
            BundleAct::RecordReplay(replayed) => Some(BundleEvent::ReplayRecorded(replayed.clone())),
            BundleAct::Retire { digest, .. } if previous == Some(*digest) => {
                let message = format!("the bundle {digest} is active: activate another first");
                return Err(Refusal::conflict("bundle_active", message));
            }
            BundleAct::Retire { digest, reason } => {
                self.must_be_usable(digest)?;
                Some(BundleEvent::BundleRetired { digest: *digest, reason: reason.clone() })
            }
        })
    }
}

/// A command to the law.
#[derive(Clone, Debug)]
pub enum BundleAct {
    /// Keep a bundle that passed the gate. The same bundle again changes nothing.
    Publish(Box<Manifest>),
    /// Let it decide.
    Activate(Digest),
    /// Let the bundle that was active before decide again.
    RollBack {
        /// Which that is, as the caller saw it: a roll-back that crosses another activation returns to nothing unseen.
        to: Digest,
    },
    /// Keep what history comes to under a bundle, published or not.
    RecordReplay(Box<Replayed>),
    /// Never let it decide again.
    Retire {
        /// Which; not the active one.
        digest: Digest,
        /// Why.
        reason: String,
    },
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
        let event = self.consequence(&command.act)?;
        Ok(decisions.into_iter().map(|d| BundleEvent::DecisionMade(Box::new(d))).chain(event).collect())
    }

    fn evolve(&mut self, event: &BundleEvent) {
        match event {
            BundleEvent::DecisionMade(_) | BundleEvent::ReplayRecorded(_) => {}
            BundleEvent::BundlePublished(manifest) => {
                self.published.insert(manifest.digest, (**manifest).clone());
            }
            BundleEvent::BundleActivated { digest, rolled_back, .. } => {
                let left = self.active.replace(*digest).filter(|_| !rolled_back);
                self.before.retain(|before| before != digest && Some(*before) != left);
                self.before.splice(0..0, left);
            }
            BundleEvent::BundleRetired { digest, reason } => {
                self.retired.insert(*digest, reason.clone());
                self.before.retain(|before| before != digest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
