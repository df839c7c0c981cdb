//! The shape of an aggregate: decide, then evolve. Both pure.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Digest of the sources of this crate: a state that other code folded is not to be taken for one that this code folds.
pub const CODE: &str = env!("XAGENT_DOMAIN_CODE");

/// An immutable fact, as it is written in the `payload` column.
pub trait Event: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static {
    /// The fact's name, as in the `event_type` column.
    fn event_type(&self) -> &'static str;

    /// The version of the payload's shape. A changed shape is a new version and an upcaster.
    fn event_version(&self) -> &'static str {
        "1"
    }
}

/// An aggregate: state folded from its events, and the rules that turn a command into new ones.
pub trait Decider: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The aggregate's type, as in the `aggregate_type` column.
    const TYPE: &'static str;
    /// What may be asked of it.
    type Command;
    /// What may have happened to it.
    type Event: Event;
    /// Why a command was refused.
    type Refusal: std::error::Error + Send + Sync + 'static;

    /// The events that `command` brings about, all of which are committed or none.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// Applies one event. Never fails: what was recorded happened.
    fn evolve(&mut self, event: &Self::Event);
}

/// An event that is, in some of its cases, a `T`.
pub trait Part<T> {
    /// The `T` this event is, if it is one.
    fn part(&self) -> Option<&T>;
}
