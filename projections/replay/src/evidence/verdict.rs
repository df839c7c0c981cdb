//! What an examination found: what is proven, and what does not hold, by name and place.

use std::fmt;

use serde::Serialize;
use xagent_domain::{Digest, Tenant};

use super::Positions;

/// Findings at most; more of them say no more.
const MOST: usize = 100;

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The file's bytes are not those that were sealed.
    Seal,
    /// A line is not of the form the format asks for.
    Form,
    /// The manifest announces other numbers than there are.
    Count,
    /// The checkpoint is not signed by a key that is trusted.
    Signature,
    /// The tree does not follow on the earlier checkpoint.
    Consistency,
    /// An event is not the one that was sealed.
    Leaf,
    /// The events are not in the signed tree.
    Proof,
    /// Events are missing.
    Gap,
    /// An event is none of those the evidence is about.
    Foreign,
    /// A content is missing, changed, or nothing refers to it.
    Blob,
    /// A policy bundle is missing, or no decision names it.
    Bundle,
    /// An event cannot be read.
    Unreadable,
    /// Another version of the engine decided: ask that one.
    Engine,
    /// Decided again, or rebuilt, it is another one.
    Decision,
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub fault: Fault,
    /// Where: a line of the file, a stream, an event.
    pub place: String,
    /// More of it.
    pub detail: String,
}

/// The signed tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// The log.
    pub origin: String,
    /// Leaves in it.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// The trusted keys that signed it.
    pub keys: Vec<String>,
}

/// What is known of events of a run between its last one here and the checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tail {
    /// There is none: every event up to the checkpoint is here.
    Proven,
    /// The run has ended and no call is under way, so that the deciders accept nothing more of it.
    Ended,
    /// There may be some.
    #[default]
    Open,
}

/// A run that is here from its first event on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunProven {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub run: String,
    /// Its sequences 1 to this are here.
    pub events: u64,
    /// What is known of later ones.
    pub tail: Tail,
    /// The run it continues, where it is a fork.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues: Option<Continues>,
}

/// The run that a fork continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Continues {
    /// Which.
    pub run: String,
    /// The sequence after which the fork left it.
    pub at: u64,
    /// Whether it is here from its first event on, so that what was taken over, and what answered, was compared with what
    /// it recorded. Where it is not, the fork's own word stands for that.
    pub compared: bool,
}

/// Decisions made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// Decisions among the events.
    pub decisions: u64,
    /// Those whose input was rebuilt from the events before them.
    pub inputs_rebuilt: u64,
    /// Those made again with the recorded bundle: the answer is the same.
    pub decided_again: u64,
    /// Recorded denials for want of an answer, which cannot be made again.
    pub not_decidable_again: u64,
}

/// The outcome of an examination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether all of it holds.
    pub holds: bool,
    /// What does not.
    pub findings: Vec<Finding>,
    /// Size of the file.
    pub bytes: u64,
    /// Events in it.
    pub events: u64,
    /// The signed tree, where a trusted key signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
    /// Size of the earlier tree it follows on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<u64>,
    /// The range all of whose events are here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<Positions>,
    /// Runs that are here from their first event on.
    pub runs: Vec<RunProven>,
    /// What was decided again; nothing, where something does not hold.
    pub decided: Decided,
}

/// Adds a finding, while there are not too many.
pub(super) fn find(findings: &mut Vec<Finding>, fault: Fault, place: impl Into<String>, detail: impl Into<String>) {
    if findings.len() < MOST {
        findings.push(Finding { fault, place: place.into(), detail: detail.into() });
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seal => "the file was changed",
            Self::Form => "not of the form",
            Self::Count => "the manifest does not fit",
            Self::Signature => "not signed by this key",
            Self::Consistency => "does not follow on",
            Self::Leaf => "not what was sealed",
            Self::Proof => "not in the signed tree",
            Self::Gap => "a gap",
            Self::Foreign => "does not belong here",
            Self::Blob => "a content does not hold",
            Self::Bundle => "a bundle does not hold",
            Self::Unreadable => "cannot be read",
            Self::Engine => "another engine decided",
            Self::Decision => "decided again, it is another",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.fault, self.place, self.detail)
    }
}
