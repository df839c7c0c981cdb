//! What agents use up, counted by hour.

use std::collections::HashMap;

use super::change::Changes;

/// Microseconds of an hour.
const HOUR_US: i64 = 3_600_000_000;

/// The hour of a moment, counted from 1970.
pub(super) const fn hour(at_us: i64) -> i64 {
    at_us.div_euclid(HOUR_US)
}

/// Counts of an agent in an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub runs: u64,
    pub consultations: u64,
    pub tokens: u64,
    pub tool_calls: u64,
    pub denied_calls: u64,
    pub decisions: u64,
    pub denials: u64,
}

impl Counts {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("runs", self.runs),
            ("consultations", self.consultations),
            ("tokens", self.tokens),
            ("tool_calls", self.tool_calls),
            ("denied_calls", self.denied_calls),
            ("decisions", self.decisions),
            ("denials", self.denials),
        ]
    }
}

type Key = (String, i64, String);

/// What a batch adds, in the order in which tenants, hours and agents are met.
#[derive(Default)]
pub(super) struct Usage {
    met: Vec<Key>,
    counts: HashMap<Key, Counts>,
}

impl Usage {
    /// What is added for an agent in the hour of a moment.
    pub fn of(&mut self, tenant: &str, at_us: i64, agent: &str) -> &mut Counts {
        let key = (tenant.to_owned(), hour(at_us), agent.to_owned());
        if !self.counts.contains_key(&key) {
            self.met.push(key.clone());
        }
        self.counts.entry(key).or_default()
    }

    pub fn give(self, changes: &mut Changes) {
        for key in self.met {
            if let Some(counts) = self.counts.get(&key) {
                changes.usage(&key.0, key.1, &key.2, counts);
            }
        }
    }
}
