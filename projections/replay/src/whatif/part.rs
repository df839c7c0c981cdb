//! What one chunk of history comes to, before it is added to the rest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xagent_domain::Digest;

use super::Class;
use super::report::{Divergence, EngineChange, Engines, Example, Lines};

/// Why a decision could not be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The event is not the one that was sealed, or its input not what its digest says.
    Tampered,
    /// The event cannot be read by this version.
    Unreadable,
    /// The input is not recorded any more.
    MissingInput,
    /// The bundle that decided is not recorded, or does not load.
    MissingBundle,
}

impl Why {
    /// For people.
    pub fn told(self) -> &'static str {
        match self {
            Self::Tampered => "tampered: it is not what was recorded; run `xagent verify`",
            Self::Unreadable => "recorded by a version this one cannot read",
            Self::MissingInput => "its input is not recorded any more",
            Self::MissingBundle => "the bundle that decided is not recorded, or does not load",
        }
    }
}

/// A decision that could not be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// Its position.
    pub position: u64,
    /// Why.
    pub why: Why,
    /// What exactly: the digest that is missing, or what cannot be read.
    pub detail: String,
}

/// A decision that the candidate makes otherwise.
pub(super) struct Changed {
    pub at: Divergence,
    /// Whether the stream is a run's.
    pub of_run: bool,
    pub rules: Vec<String>,
    pub tool: Option<String>,
    pub agent: Option<String>,
    pub principal: String,
    pub example: Option<Box<Example>>,
}

/// What one chunk comes to.
#[derive(Default)]
pub struct Part {
    /// Decisions read.
    pub(super) read: u64,
    /// Decisions the filter leaves out.
    pub(super) left_out: u64,
    /// Decisions made again under the candidate.
    pub(super) decided: u64,
    /// Decisions by the bundle that made them.
    pub(super) bundles: BTreeMap<Digest, u64>,
    pub(super) engines: Engines,
    pub(super) changed: Vec<Changed>,
    pub(super) undecided: Vec<Undecided>,
    pub(super) undecided_count: u64,
    /// Decisions whose reach was counted.
    pub(super) covering: u64,
    pub(super) lines: Lines,
    /// Examples so far, by class.
    pub(super) examples: BTreeMap<Class, usize>,
    /// The last position.
    pub(super) last: u64,
}

/// Undecided decisions, and engine changes, that are listed at most.
pub(super) const LISTED: usize = 20;

impl Part {
    /// The position of the last event of the chunk.
    pub fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn undecided(&mut self, position: u64, why: Why, detail: impl Into<String>) {
        self.undecided_count += 1;
        if self.undecided.len() < LISTED {
            let detail = detail.into().chars().take(200).collect();
            self.undecided.push(Undecided { position, why, detail });
        }
    }
}

impl Engines {
    /// Decisions that the bundles that made them were asked about again.
    pub fn asked_again(&self) -> u64 {
        self.by_engine.values().map(|reached| reached.asked_again).sum()
    }

    pub(super) fn note(&mut self, change: EngineChange) {
        self.changed += 1;
        self.verdicts += u64::from(change.class.diverges());
        if self.examples.len() < LISTED {
            self.examples.push(change);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        for (name, theirs) in other.by_engine {
            match self.by_engine.get_mut(&name) {
                Some(ours) => {
                    ours.decisions += theirs.decisions;
                    ours.asked_again += theirs.asked_again;
                    ours.changed += theirs.changed;
                }
                None => drop(self.by_engine.insert(name, theirs)),
            }
        }
        self.changed += other.changed;
        self.verdicts += other.verdicts;
        self.unexplained += other.unexplained;
        self.unanswered += other.unanswered;
        let room = LISTED.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }
}
