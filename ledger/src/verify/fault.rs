//! What verification can find, by name: what does not hold, and where. The kinds are stable; `docs/errors/tampered.md`
//! has a line for each.

use std::fmt;

use serde::Serialize;
use xagent_domain::Digest;

/// Something that does not hold. Ranges of positions include their `last`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// An event is not the one that was sealed at its position.
    Edited {
        /// Where.
        position: u64,
        /// What was changed, as far as it can be told.
        column: &'static str,
        /// The leaf hash in its row.
        recorded: Digest,
        /// The leaf hash of what stands there.
        found: Digest,
    },
    /// Events are gone, and later ones are there.
    Deleted {
        /// The first that is gone.
        position: u64,
        /// The last that is gone.
        last: u64,
        /// Whether the later ones were moved down into their places.
        closed_up: bool,
    },
    /// The end was cut off.
    Truncated {
        /// The first position that is gone.
        position: u64,
        /// The last position that is known to have been there.
        last: u64,
        /// What tells of it.
        witness: Witness,
    },
    /// Events stand at each other's positions.
    Reordered {
        /// Where.
        position: u64,
        /// The last of them.
        last: u64,
        /// The position that what stands at the first one was sealed at.
        sealed_at: u64,
    },
    /// Events that no append put there.
    Forged {
        /// The first of them.
        position: u64,
        /// The last of them.
        last: u64,
        /// How it shows.
        detail: &'static str,
    },
    /// Events and their hashes agree, but not with what the tree, the head or a checkpoint says of them.
    Rebuilt {
        /// The first position it may be.
        position: u64,
        /// The last position it may be.
        last: u64,
        /// What disagrees.
        witness: Witness,
        /// What was rewritten.
        rewritten: Rewritten,
        /// The hash the witness tells of.
        kept: Digest,
        /// The hash of what there is.
        found: Digest,
    },
    /// A node of the tree is missing, or is there without events under it.
    Node {
        /// The first position under it.
        position: u64,
        /// The last position under it.
        last: u64,
        /// Its level.
        level: u8,
        /// `missing`.
        problem: &'static str,
    },
    /// The head row contradicts itself, or there is not one.
    Head {
        /// What is wrong with it.
        detail: String,
    },
    /// A stored checkpoint is none, or is not signed by the key beside it.
    Signature {
        /// The size it stands for.
        size: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// An event does not follow on the one before it in its stream.
    OutOfSequence {
        /// Where.
        position: u64,
        /// Its stream.
        stream: String,
        /// Its sequence.
        sequence: u64,
    },
    /// What makes a command's repetition known does not fit its events.
    Command {
        /// The command's first event.
        position: u64,
        /// What does not fit.
        detail: &'static str,
    },
    /// A blob is not what its digest says.
    Blob {
        /// The digest.
        digest: Digest,
        /// `corrupt`.
        problem: &'static str,
    },
    /// A snapshot is not what the events of its stream fold to.
    Snapshot {
        /// The stream.
        stream: String,
        /// The last event it covers.
        sequence: u64,
    },
    /// An archived range or its file is not what was moved away.
    Archive {
        /// The first position of the range.
        position: u64,
        /// What is wrong.
        detail: String,
    },
}

/// What a fault is seen against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// The head row.
    Head,
    /// A stored node of the tree.
    Node,
    /// A stored checkpoint.
    Checkpoint,
    /// A checkpoint that was kept outside.
    OutsideCheckpoint,
    /// A command's key.
    Command,
}

/// What was rewritten where two things disagree that agree in themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rewritten {
    /// The events with their hashes: the rest of the tree fits what the witness says.
    Events,
    /// The witness alone: the rest of the tree fits the events.
    Witness,
    /// Either.
    Either,
}

impl Fault {
    /// How many positions it says are gone.
    pub fn missing(&self) -> u64 {
        match self {
            Self::Deleted { position, last, .. } | Self::Truncated { position, last, .. } => {
                last.saturating_sub(*position).saturating_add(1)
            }
            _ => 0,
        }
    }

    /// Where it is; the end where it is nowhere.
    pub fn position(&self) -> u64 {
        match self {
            Self::Edited { position, .. }
            | Self::Deleted { position, .. }
            | Self::Truncated { position, .. }
            | Self::Reordered { position, .. }
            | Self::Forged { position, .. }
            | Self::Rebuilt { position, .. }
            | Self::Node { position, .. }
            | Self::OutOfSequence { position, .. }
            | Self::Command { position, .. }
            | Self::Archive { position, .. } => *position,
            Self::Signature { size, .. } => *size,
            Self::Head { .. } | Self::Blob { .. } | Self::Snapshot { .. } => u64::MAX,
        }
    }
}

impl Fault {
    /// Whether it says of a stretch with this position that its events do not fit the tree.
    pub(super) fn is_block_with(&self, place: u64) -> bool {
        let of_tree = [Witness::Node, Witness::Head];
        matches!(self, Self::Rebuilt { position, last, witness, .. }
            if of_tree.contains(witness) && (*position..=*last).contains(&place))
    }

    /// Of a node that its events do not fit, the rest of the tree has told which of the two is the old one.
    pub(super) fn decide(&mut self, by_the_rest: Rewritten) {
        if let Self::Rebuilt { witness: Witness::Node, rewritten, .. } = self {
            *rewritten = by_the_rest;
        }
    }
}

impl Witness {
    fn says(self) -> &'static str {
        match self {
            Self::Head => "the head row",
            Self::Node => "a stored node of the tree",
            Self::Checkpoint => "a stored checkpoint",
            Self::OutsideCheckpoint => "a checkpoint that was kept outside",
            Self::Command => "a command's key",
        }
    }
}

struct Places(u64, u64);

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(first, last) = self;
        if first == last { write!(f, "at position {first}") } else { write!(f, "at positions {first} to {last}") }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited { position, column, recorded, found } => write!(
                f,
                "edited: the event at position {position} was changed ({column}): it was sealed as {recorded}, and is {found}"
            ),
            Self::Deleted { position, last, closed_up } => {
                let after = if *closed_up { ", and later ones were moved down" } else { "" };
                write!(f, "deleted: what was {} is gone{after}", Places(*position, *last))
            }
            Self::Truncated { position, last, witness } => {
                write!(f, "truncated: what was {} is cut off; {} tells of it", Places(*position, *last), witness.says())
            }
            Self::Reordered { position, last, sealed_at } => write!(
                f,
                "reordered: what stands {} was sealed at position {sealed_at}{}",
                Places(*position, *last),
                if position == last { "" } else { " and after" }
            ),
            Self::Forged { position, last, detail } => {
                write!(f, "forged: what stands {} was never appended there: {detail}", Places(*position, *last))
            }
            Self::Rebuilt { position, last, witness, rewritten, kept, found } => {
                let what = match rewritten {
                    Rewritten::Events => "the events and their hashes were rewritten together",
                    Rewritten::Witness => "the events fit the rest of the tree, so this alone was rewritten",
                    Rewritten::Either => "the events were rewritten with their hashes, or this was",
                };
                let (places, says) = (Places(*position, *last), witness.says());
                write!(f, "rebuilt: what stands {places} gives {found}, and {says} says {kept}: {what}")
            }
            Self::Node { position, last, level, problem } => {
                write!(
                    f,
                    "node: the tree's node of level {level} over what is {} is {problem}",
                    Places(*position, *last)
                )
            }
            Self::Head { detail } => write!(f, "head: the head row does not hold: {detail}"),
            Self::Signature { size, detail } => {
                write!(f, "signature: the checkpoint of size {size} does not hold: {detail}")
            }
            Self::OutOfSequence { position, stream, sequence } => write!(
                f,
                "out_of_sequence: the event at position {position} is number {sequence} of {stream}, and does not follow on the one before it"
            ),
            Self::Command { position, detail } => write!(f, "command: at position {position}: {detail}"),
            Self::Blob { digest, problem } => write!(f, "blob: {digest} is {problem}"),
            Self::Snapshot { stream, sequence } => {
                write!(f, "snapshot: that of {stream} at sequence {sequence} is not what its events fold to")
            }
            Self::Archive { position, detail } => write!(f, "archive: the range from position {position}: {detail}"),
        }
    }
}
