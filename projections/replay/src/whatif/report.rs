//! What is said of history under another bundle, in forms that can be kept half-way and read by programs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xagent_domain::EngineIdentity;

use super::Class;

/// Names told apart in one group at most; the rest is counted together.
const MOST_NAMES: usize = 500;
/// The name of the rest.
const OTHERS: &str = "(others)";

/// How many decisions change in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All of them.
    pub decisions: u64,
    /// Those that are the first divergence of their run, or belong to no run: what is after them is counterfactual.
    pub first: u64,
}

/// Changes of each class, for one rule, tool, agent or principal.
pub type Group = BTreeMap<Class, u64>;

/// Changes by what they are about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// By the codes of the reasons that come or go.
    pub rules: BTreeMap<String, Group>,
    /// By tool.
    pub tools: BTreeMap<String, Group>,
    /// By agent.
    pub agents: BTreeMap<String, Group>,
    /// By principal.
    pub principals: BTreeMap<String, Group>,
}

/// Counts one more in a group of bounded size.
pub(super) fn count(groups: &mut BTreeMap<String, Group>, name: &str, class: Class) {
    let name = if groups.len() < MOST_NAMES || groups.contains_key(name) { name } else { OTHERS };
    *groups.entry(name.to_owned()).or_default().entry(class).or_default() += 1;
}

/// The first decision of a run that would have been another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// The run.
    pub run: String,
    /// The position of the decision.
    pub position: u64,
    /// Its sequence in the run.
    pub sequence: u64,
    /// Its id.
    pub decision: String,
    /// How it changes.
    pub class: Class,
    /// The tool, or the command.
    pub about: String,
}

/// A changed decision, shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// How it changes.
    pub class: Class,
    /// Its position.
    pub position: u64,
    /// Its stream.
    pub stream: String,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its id.
    pub decision: String,
    /// The tool, or the command.
    pub about: String,
    /// The agent, where there is a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Who asked.
    pub principal: String,
    /// The bundle that decided.
    pub bundle: String,
    /// The input, masked as the bundle in force asks.
    pub input: Value,
    /// What the bundle says that decided, masked.
    pub before: Value,
    /// What the candidate says, masked.
    pub after: Value,
}

/// Decisions of one engine, in its own identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The engine that decided then.
    pub engine: EngineIdentity,
    /// Decisions of it.
    pub decisions: u64,
    /// Those that the bundle that made them was asked about again.
    pub asked_again: u64,
    /// Those that today's engine makes otherwise, with the bundle that made them.
    pub changed: u64,
}

/// A decision that the engine changed, whatever the policy does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineChange {
    /// Its position.
    pub position: u64,
    /// Its id.
    pub decision: String,
    /// The engine that decided then.
    pub engine: String,
    /// How the answer changes; none where only what a failure says differs.
    pub class: Class,
}

/// What today's engine makes of recorded decisions, with the bundles that made them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engines {
    /// By the engine that decided then.
    pub by_engine: BTreeMap<String, Reached>,
    /// Decisions that come out otherwise.
    pub changed: u64,
    /// Those among them that are other verdicts.
    pub verdicts: u64,
    /// Those among them that the very engine of today had made: neither engine nor policy explains them.
    pub unexplained: u64,
    /// The first of them.
    pub examples: Vec<EngineChange>,
    /// Decisions whose bundle had given no answer (timeout, engine away): there is nothing to compare with.
    pub unanswered: u64,
}

/// Lines of the candidate that history reaches.
pub(super) type Lines = BTreeMap<String, BTreeSet<u32>>;
