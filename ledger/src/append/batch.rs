//! A batch: which of its commands go in, where their events stand, and the tree with them. Pure.

use std::collections::{HashMap, HashSet};

use xagent_domain::{CanonicalError, Digest, Recorded};
use xagent_tree::{Frontier, Subtree, leaf_hash};

use super::{Expected, Ground, Pending, Stream, Unplaced};
use crate::{LedgerError, Receipt};

/// What is known of streams and keys when a batch is planned.
#[derive(Default)]
pub(super) struct Knowledge {
    /// Sequences of streams. A stream that is missing is taken to be where its first command expects it.
    pub sequences: HashMap<Stream, u64>,
    /// Places in the batch of commands whose keys were used before.
    pub known_keys: HashSet<usize>,
}

/// A planned batch.
pub(super) struct Batch {
    /// One verdict per command, in order.
    pub verdicts: Vec<Verdict>,
    /// The streams with the sequences they must be at.
    pub streams: Vec<(Stream, u64)>,
    pub events: Vec<Recorded>,
    /// Completed inner nodes that are stored.
    pub nodes: Vec<(Subtree, Digest)>,
    pub ground: Ground,
}

/// What is to become of a command.
pub(super) enum Verdict {
    /// It goes in.
    Place(Receipt),
    /// Its key was used before.
    KeyKnown,
    /// Its stream is elsewhere.
    Conflict { expected: u64, found: u64 },
    /// Its key is also that of an earlier command of the batch: it takes part in the next one.
    Wait,
    /// Its stream must be asked for first.
    Unknown,
    /// It has no canonical form.
    Unsealable(String),
}

/// Plans a batch on `ground`.
pub(super) fn plan(commands: &[Pending], ground: &Ground, knowledge: &Knowledge, now_us: i64) -> Batch {
    let recorded_at_us = now_us.max(ground.recorded_at_us);
    let ground = Ground { recorded_at_us, ..ground.clone() };
    let mut batch = Batch { verdicts: Vec::new(), streams: Vec::new(), events: Vec::new(), nodes: Vec::new(), ground };
    let mut sequences = knowledge.sequences.clone();
    let mut keys = HashSet::new();
    for (place, command) in commands.iter().enumerate() {
        let key = command.command.as_ref().map(|key| (&command.tenant, &key.id));
        let verdict = match key {
            Some(_) if knowledge.known_keys.contains(&place) => Verdict::KeyKnown,
            Some(key) if keys.contains(&key) => Verdict::Wait,
            _ => batch.admit(command, &mut sequences),
        };
        if let (Verdict::Place(_), Some(key)) = (&verdict, key) {
            keys.insert(key);
        }
        batch.verdicts.push(verdict);
    }
    batch
}

impl Batch {
    fn admit(&mut self, command: &Pending, sequences: &mut HashMap<Stream, u64>) -> Verdict {
        let stream = command.stream();
        let at = match (sequences.get(&stream).copied(), command.expected) {
            (Some(found), Expected::Exactly(expected)) if found != expected => {
                return Verdict::Conflict { expected, found };
            }
            (Some(found), _) => found,
            (None, Expected::Exactly(expected)) => expected,
            (None, Expected::Any) => return Verdict::Unknown,
        };
        let (leaves, after) = (self.events.len(), self.ground.position);
        for (unplaced, ordinal) in command.events.iter().zip(1_u64..) {
            match self.seal(command, unplaced, after + ordinal, at + ordinal) {
                Ok(event) => self.events.push(event),
                Err(error) => {
                    self.events.truncate(leaves);
                    return Verdict::Unsealable(error.to_string());
                }
            }
        }
        let leaf_hashes: Vec<_> = self.events[leaves..].iter().map(|event| event.leaf_hash).collect();
        leaf_hashes.iter().for_each(|leaf| grow(&mut self.ground.frontier, *leaf, &mut self.nodes));
        let count = leaf_hashes.len() as u64;
        self.ground.position += count;
        if !self.streams.iter().any(|(known, _)| *known == stream) {
            self.streams.push((stream.clone(), at));
        }
        sequences.insert(stream, at + count);
        Verdict::Place(Receipt {
            first_position: after + 1,
            last_position: after + count,
            aggregate_id: command.aggregate_id.clone(),
            sequence: at + count,
            leaf_hashes,
            tree_size: self.ground.position,
            root: self.ground.frontier.root(),
        })
    }

    fn seal(
        &self,
        command: &Pending,
        event: &Unplaced,
        position: u64,
        sequence: u64,
    ) -> Result<Recorded, CanonicalError> {
        let mut recorded = Recorded {
            position,
            tenant: command.tenant.clone(),
            aggregate_type: command.aggregate_type.to_owned(),
            aggregate_id: command.aggregate_id.clone(),
            sequence,
            event_type: event.event_type.to_owned(),
            event_version: event.event_version.to_owned(),
            payload: event.payload.clone(),
            metadata: command.metadata.clone(),
            recorded_at_us: self.ground.recorded_at_us,
            leaf_hash: Digest::from_bytes([0; 32]),
        };
        recorded.leaf_hash = leaf_hash(&recorded)?;
        Ok(recorded)
    }

    /// Whether the plan rests on something that has to be asked for first.
    pub(super) fn is_blind(&self) -> bool {
        self.verdicts.iter().any(|verdict| matches!(verdict, Verdict::Unknown))
    }
}

impl Verdict {
    /// The error a refused command gets.
    pub(super) fn refusal(&self, command: &Pending) -> Option<LedgerError> {
        match self {
            Self::Conflict { expected, found } => {
                let (aggregate_id, expected, found) = (command.aggregate_id.clone(), *expected, *found);
                Some(LedgerError::Conflict { aggregate_id, expected, found })
            }
            Self::Unsealable(detail) => {
                Some(LedgerError::Failed { operation: super::OPERATION, detail: detail.clone() })
            }
            Self::Place(_) | Self::KeyKnown | Self::Wait | Self::Unknown => None,
        }
    }
}

/// Adds a leaf, and keeps the completed nodes that are stored: those of every eighth level.
pub(crate) fn grow(frontier: &mut Frontier, leaf: Digest, nodes: &mut Vec<(Subtree, Digest)>) {
    frontier.push(leaf, |subtree, root| {
        if subtree.level > 0 && subtree.level.is_multiple_of(8) {
            nodes.push((subtree, root));
        }
    });
}
