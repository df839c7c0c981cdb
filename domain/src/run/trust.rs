//! Where a run's values come from: what it read that nobody vouches for, and what vouches for a value.

use std::collections::BTreeSet;

use rpds::RedBlackTreeSetSync;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::argument::{names, normal, texts, words};
use super::{ArgumentUse, Call};
use crate::{CallId, Content};

/// Sources named; a run with more is as tainted.
const SOURCES: usize = 16;
/// Values remembered from trusted results; beyond it, nothing more is vouched for.
const VALUES: usize = 1024;
/// Longer words of a trusted result are not remembered.
const LONGEST: usize = 256;

/// A started call of a tool whose output nobody vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaintSource {
    /// The call.
    #[schemars(with = "String")]
    pub call: CallId,
    /// Its tool.
    pub tool: String,
}

/// What taints a run and what vouches for values in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trust {
    sources: Vec<TaintSource>,
    #[schemars(with = "BTreeSet<String>")]
    vouched: RedBlackTreeSetSync<String>,
}

impl Trust {
    /// What was read that nobody vouches for, the first of it.
    pub fn sources(&self) -> &[TaintSource] {
        &self.sources
    }

    /// Whether a trusted result held the value.
    pub fn vouches_for(&self, value: &ArgumentUse) -> bool {
        self.vouched.contains(&normal(&value.value))
    }

    /// Content counts as read from the moment the call starts: a client may have seen it before it posts the result.
    pub(super) fn started(&mut self, call: &Call) {
        if call.tool.reads_untrusted && self.sources.len() < SOURCES {
            self.sources.push(TaintSource { call: call.id, tool: call.tool.name.clone() });
        }
    }

    /// Remembers what a trusted source said, but for what it was asked: an echo vouches for nothing.
    pub(super) fn completed(&mut self, call: &Call, output: &Content) {
        if !call.tool.trusted_source || call.tool.reads_untrusted {
            return;
        }
        let (Some(asked), Some(said)) = (inline(&call.arguments), inline(output)) else { return };
        let asked: BTreeSet<String> = values(&asked).collect();
        for value in values(&said).filter(|value| value.len() <= LONGEST && !asked.contains(value)) {
            if self.vouched.size() >= VALUES {
                return;
            }
            self.vouched.insert_mut(value);
        }
    }
}

/// Whether the goal, in the principal's own words, names the value.
pub(crate) fn goal_names(goal: &str, value: &ArgumentUse) -> bool {
    names(goal, value)
}

fn inline(content: &Content) -> Option<Value> {
    content.text.as_deref().and_then(|text| serde_json::from_str(text).ok())
}

fn values(value: &Value) -> impl Iterator<Item = String> {
    texts(value).into_iter().flat_map(|text| words(&text).chain([normal(&text)]).collect::<Vec<_>>())
}
