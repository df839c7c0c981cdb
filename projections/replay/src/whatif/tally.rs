//! All parts added up, in the order of history. It can be written down half-way, and gone on with.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xagent_domain::Digest;

use super::Class;
use super::part::{Changed, LISTED, Part, Undecided};
use super::report::{Counts, Divergence, Engines, Example, Groups, Lines, count};

/// Runs whose first divergence is listed at most.
const MOST_DIVERGENCES: usize = 100;
/// Runs with a divergence that are told apart at most; of later ones every change counts as a first one.
const MOST_RUNS: usize = 1_000_000;

/// Decisions that could not be made again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllUndecided {
    /// All of them.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Undecided>,
}

/// What history comes to under the candidate, up to a position.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The last position that is in it.
    pub position: u64,
    /// Decisions read.
    pub read: u64,
    /// Decisions the filter leaves out.
    pub left_out: u64,
    /// Decisions made again under the candidate.
    pub decided: u64,
    /// Decisions by the bundle that made them.
    pub bundles: BTreeMap<Digest, u64>,
    /// What the engine changes, whatever the policy does.
    pub engines: Engines,
    /// What the candidate changes, by class.
    pub classes: BTreeMap<Class, Counts>,
    /// The same by what it is about.
    pub groups: Groups,
    /// Runs that would have gone another way.
    pub diverged_runs: u64,
    /// The first decision of such runs that would have been another one.
    pub divergences: Vec<Divergence>,
    /// Changed decisions, shown.
    pub examples: Vec<Example>,
    /// What could not be decided again.
    pub undecided: AllUndecided,
    /// Decisions whose reach in the candidate was counted.
    pub covering: u64,
    /// Lines of the candidate they reach, by module.
    pub lines: Lines,
    /// The runs that have diverged, in short.
    runs: BTreeSet<[u8; 16]>,
}

impl Tally {
    /// Adds the next part. `examples` is how many are shown per class at most.
    pub fn add(&mut self, part: Part, examples: usize) {
        self.position = self.position.max(part.last);
        self.read += part.read;
        self.left_out += part.left_out;
        self.decided += part.decided;
        for (bundle, decisions) in part.bundles {
            *self.bundles.entry(bundle).or_default() += decisions;
        }
        self.engines.add(part.engines);
        self.undecided.count += part.undecided_count;
        let room = LISTED.saturating_sub(self.undecided.examples.len());
        self.undecided.examples.extend(part.undecided.into_iter().take(room));
        self.covering += part.covering;
        for (path, lines) in part.lines {
            self.lines.entry(path).or_default().extend(lines);
        }
        part.changed.into_iter().for_each(|changed| self.changed(changed, examples));
    }

    /// Decisions that the candidate makes otherwise.
    pub fn changes(&self) -> u64 {
        self.classes.values().map(|counts| counts.decisions).sum()
    }

    /// Decisions that change in one way.
    pub fn of(&self, class: Class) -> u64 {
        self.classes.get(&class).map_or(0, |counts| counts.decisions)
    }

    fn changed(&mut self, changed: Changed, examples: usize) {
        let class = changed.at.class;
        let first = self.is_first(&changed);
        let counts = self.classes.entry(class).or_default();
        counts.decisions += 1;
        counts.first += u64::from(first);
        changed.rules.iter().for_each(|rule| count(&mut self.groups.rules, rule, class));
        for (groups, name) in [
            (&mut self.groups.tools, changed.tool.as_deref()),
            (&mut self.groups.agents, changed.agent.as_deref()),
            (&mut self.groups.principals, Some(changed.principal.as_str())),
        ] {
            name.into_iter().for_each(|name| count(groups, name, class));
        }
        if let Some(example) = changed.example
            && self.examples.iter().filter(|example| example.class == class).count() < examples
        {
            self.examples.push(*example);
        }
    }

    /// Whether nothing before it in its run would have been another decision.
    fn is_first(&mut self, changed: &Changed) -> bool {
        if !changed.of_run {
            return true;
        }
        let key = short(&changed.at.run);
        if self.runs.contains(&key) {
            return false;
        }
        if changed.at.class.diverges() {
            if self.runs.len() < MOST_RUNS {
                self.runs.insert(key);
            }
            self.diverged_runs += 1;
            if self.divergences.len() < MOST_DIVERGENCES {
                self.divergences.push(changed.at.clone());
            }
        }
        true
    }
}

/// A name that takes little room.
fn short(run: &str) -> [u8; 16] {
    let digest = Digest::of(run.as_bytes());
    let mut short = [0; 16];
    short.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    short
}
