//! What history came to under a bundle, as somebody reports it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Content, Digest, EngineIdentity};

/// What came of deciding history again under a bundle that need not be published yet: kept, so that whoever approves a
/// change of policy can cite it. It is a report, of whoever recorded it; the same can be had again from the same history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replayed {
    /// The bundle that history was held to.
    pub bundle: Digest,
    /// The position after which history was looked at.
    pub after: u64,
    /// The last position.
    pub to: u64,
    /// The engine that decided again.
    pub engine: EngineIdentity,
    /// Decisions made again.
    pub decided: u64,
    /// Decisions that could not be made again.
    pub undecided: u64,
    /// Decisions that the engine alone changes.
    pub engine_changed: u64,
    /// Decisions that the bundle changes, by class, for example `deny-to-allow`.
    pub changes: BTreeMap<String, u64>,
    /// The whole report, as canonical JSON.
    pub report: Content,
}
