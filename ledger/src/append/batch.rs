//! A batch: which of its commands go in, where their events stand, and the tree with them. Commands are admitted one by one,
//! while the batch before is still on its way. Pure.

use std::collections::{HashMap, HashSet};

use xagent_domain::{CommandId, Digest, Place, Tenant};
use xagent_tree::{Frontier, Subtree};

use super::{Expected, Ground, Pending, Stream};
use crate::{LedgerError, Receipt};

/// Commands in one batch at most.
pub(super) const COMMANDS: usize = 256;
/// A batch takes no further command once its events and blobs have this many bytes.
const BYTES: usize = 8 * 1024 * 1024;

/// What is known of streams and keys when commands are admitted.
#[derive(Default)]
pub(super) struct Knowledge {
    /// Sequences of streams. A stream that is missing is taken to be where its first command expects it.
    pub sequences: HashMap<Stream, u64>,
    /// Keys that were used before.
    pub keys: HashSet<(Tenant, CommandId)>,
    /// Where keys are that no unique index guards.
    pub key_range: KeyRange,
}

/// The range of positions whose keys a unique index guards.
#[derive(Clone, Copy, Default)]
pub(super) struct KeyRange {
    /// The position after it; 0 where that is not known.
    pub past: u64,
    /// Whether there are keys outside of it.
    pub earlier: bool,
}

/// A planned batch.
pub(super) struct Batch {
    pub commands: Vec<Pending>,
    /// One verdict per command.
    pub verdicts: Vec<Verdict>,
    /// Where the ledger is before it.
    pub after: Ground,
    /// Where the ledger is with the batch in it.
    pub ground: Ground,
    /// Per stream of the batch.
    pub streams: Vec<StreamCheck>,
    pub events: Vec<Sealed>,
    /// Completed inner nodes that are stored.
    pub nodes: Vec<(Subtree, Digest)>,
    places: HashMap<Stream, usize>,
    keys: HashSet<(Tenant, CommandId)>,
    bytes: usize,
}

/// A stream of a batch.
pub(super) struct StreamCheck {
    pub stream: Stream,
    /// Where it is with the batch in it.
    pub sequence: u64,
    /// Where the database has to find it before the batch; nothing where that is known.
    pub expected: Option<u64>,
}

/// An event with its place.
pub(super) struct Sealed {
    /// Its command's place in the batch.
    pub command: usize,
    /// Its place in the command.
    pub event: usize,
    pub sequence: u64,
    pub leaf_hash: Digest,
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
}

impl Batch {
    /// An empty batch on `ground`.
    pub(super) fn on(ground: Ground) -> Self {
        Self {
            commands: Vec::new(),
            verdicts: Vec::new(),
            after: ground.clone(),
            ground,
            streams: Vec::new(),
            events: Vec::new(),
            nodes: Vec::new(),
            places: HashMap::new(),
            keys: HashSet::new(),
            bytes: 0,
        }
    }

    /// Whether it takes another command.
    pub(super) fn has_room(&self) -> bool {
        self.commands.len() < COMMANDS && self.bytes < BYTES
    }

    /// Finds out what is to become of `command`, and takes it. The first one gives the batch its time.
    pub(super) fn admit(&mut self, command: Pending, knowledge: &Knowledge, now_us: i64) {
        if self.commands.is_empty() {
            self.ground.recorded_at_us = self.ground.recorded_at_us.max(now_us);
        }
        let key = command.command.as_ref().map(|key| (command.tenant.clone(), key.id.clone()));
        let verdict = match &key {
            Some(key) if knowledge.keys.contains(key) => Verdict::KeyKnown,
            Some(key) if self.keys.contains(key) => Verdict::Wait,
            _ => self.place(&command, knowledge),
        };
        if matches!(verdict, Verdict::Place(_)) {
            self.keys.extend(key);
            self.bytes += command.size;
        }
        self.commands.push(command);
        self.verdicts.push(verdict);
    }

    fn place(&mut self, command: &Pending, knowledge: &Knowledge) -> Verdict {
        let here = self.places.get(&command.stream).and_then(|place| self.streams.get(*place));
        let known = here.map(|check| check.sequence).or_else(|| knowledge.sequences.get(&command.stream).copied());
        let at = match (known, command.expected) {
            (Some(found), Expected::Exactly(expected)) if found != expected => {
                self.move_stream(&command.stream, found, None);
                return Verdict::Conflict { expected, found };
            }
            (Some(found), _) => found,
            (None, Expected::Exactly(expected)) => expected,
            (None, Expected::Any) => return Verdict::Unknown,
        };
        let (after, first) = (self.ground.position, self.events.len());
        for (event, unplaced) in command.events.iter().enumerate() {
            let ordinal = event as u64 + 1;
            let recorded_at_us = self.ground.recorded_at_us;
            let place = Place { position: after + ordinal, recorded_at_us, sequence: at + ordinal };
            let leaf_hash = unplaced.seed.at(place);
            grow(&mut self.ground.frontier, leaf_hash, &mut self.nodes);
            self.events.push(Sealed { command: self.commands.len(), event, sequence: at + ordinal, leaf_hash });
        }
        let count = command.events.len() as u64;
        self.ground.position += count;
        self.move_stream(&command.stream, at + count, Some(at).filter(|_| known.is_none()));
        Verdict::Place(Receipt {
            first_position: after + 1,
            last_position: after + count,
            aggregate_id: command.stream.1.to_string(),
            sequence: at + count,
            leaf_hashes: self.events.iter().skip(first).map(|event| event.leaf_hash).collect(),
            tree_size: self.ground.position,
            root: self.ground.frontier.root(),
            repeated: false,
        })
    }

    /// Notes where a stream is now; `expected` where the database has to find it before the batch.
    fn move_stream(&mut self, stream: &Stream, sequence: u64, expected: Option<u64>) {
        match self.places.get(stream).and_then(|place| self.streams.get_mut(*place)) {
            Some(check) => check.sequence = sequence,
            None => {
                self.places.insert(stream.clone(), self.streams.len());
                self.streams.push(StreamCheck { stream: stream.clone(), sequence, expected });
            }
        }
    }

    /// Whether the plan rests on something that has to be asked for first.
    pub(super) fn is_blind(&self) -> bool {
        self.verdicts.iter().any(|verdict| matches!(verdict, Verdict::Unknown))
    }

    /// Whether no key has to be looked up to write it, and there are no blobs: that is how most batches are.
    pub(super) fn is_plain(&self, keys: KeyRange) -> bool {
        !keys.earlier && self.ground.position < keys.past && self.placed().all(|command| command.blobs.is_empty())
    }

    /// The commands that go in, with their receipts.
    pub(super) fn placed(&self) -> impl Iterator<Item = &Pending> {
        let pairs = self.commands.iter().zip(&self.verdicts);
        pairs.filter(|(_, verdict)| matches!(verdict, Verdict::Place(_))).map(|(command, _)| command)
    }
}

impl Verdict {
    /// What the command is answered; nothing where it has to wait.
    pub(super) fn answer(self, command: &Pending) -> Option<Result<super::Answer, LedgerError>> {
        match self {
            Self::Place(receipt) => Some(Ok(super::Answer::Placed(receipt))),
            Self::KeyKnown => Some(Ok(super::Answer::KeyKnown)),
            Self::Conflict { expected, found } => {
                Some(Err(LedgerError::Conflict { aggregate_id: command.stream.1.to_string(), expected, found }))
            }
            Self::Wait | Self::Unknown => None,
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
