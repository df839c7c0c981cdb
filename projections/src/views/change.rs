//! What a batch of events changes in the views, in the order of the events, as the script takes it.

use redis::ToRedisArgs;
use serde::Serialize;

use super::usage::Counts;

/// Rows of a list that are kept for a tenant.
pub(super) const LISTED: u32 = 10_000;
/// Decisions that are kept for a tenant.
pub(super) const DECISIONS: u32 = 1_000;
/// Counts that an hour of a tenant has; agents beyond that are counted together.
const COUNTED: u32 = 7_000;

/// A list of a tenant's rows, each with a score by which they are ordered and leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Runs that go on, by their last event.
    Live,
    /// Approvals that wait, by when they lapse.
    Approvals,
}

impl List {
    const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Approvals => "approvals",
        }
    }
}

/// A text with its end, in milliseconds since 1970; an empty one is deleted.
#[derive(Default)]
pub(super) struct Shelved {
    pub text: String,
    pub deadline_ms: i64,
}

/// The changes of a batch: arguments of the script.
#[derive(Default)]
pub(super) struct Changes {
    arguments: Vec<Vec<u8>>,
}

impl Changes {
    pub fn run(&mut self, tenant: &str, run: &str, view: Shelved, memory: Shelved) {
        self.words(&["R", tenant, run]);
        for shelved in [view, memory] {
            self.arguments.push(shelved.text.into_bytes());
            self.number(shelved.deadline_ms);
        }
    }

    /// A row of a list comes or changes, and those below `lowest` go.
    pub fn list(&mut self, tenant: &str, list: List, member: &str, (score, lowest): (i64, i64), row: &impl Serialize) {
        self.words(&["L", tenant, list.name(), member]);
        self.number(score);
        self.json(row);
        self.number(lowest);
        self.number(LISTED);
    }

    /// A row of a list goes.
    pub fn unlist(&mut self, tenant: &str, list: List, member: &str) {
        self.words(&["L", tenant, list.name(), member, "0", "", "0", "0"]);
    }

    pub fn decision(&mut self, tenant: &str, row: &impl Serialize) {
        self.words(&["D", tenant]);
        self.json(row);
        self.number(DECISIONS);
    }

    pub fn usage(&mut self, tenant: &str, hour: i64, agent: &str, counts: &Counts) {
        let counts = counts.named();
        self.words(&["U", tenant]);
        self.number(hour);
        self.words(&[agent]);
        self.number(COUNTED);
        self.number(counts.len());
        for (name, count) in counts {
            self.words(&[name]);
            self.number(count);
        }
    }

    pub fn arguments(&self) -> &[Vec<u8>] {
        &self.arguments
    }

    fn words(&mut self, words: &[&str]) {
        self.arguments.extend(words.iter().map(|word| word.as_bytes().to_vec()));
    }

    fn number(&mut self, number: impl ToRedisArgs) {
        number.write_redis_args(&mut self.arguments);
    }

    /// Rows are of texts and numbers: they have a JSON form.
    fn json(&mut self, row: &impl Serialize) {
        self.arguments.push(serde_json::to_vec(row).unwrap_or_default());
    }
}
