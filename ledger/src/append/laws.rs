//! The laws of a batch, held against a model that takes the same commands one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::{Semaphore, oneshot};
use xagent_domain::{Digest, Place, Placeless, Tenant};
use xagent_tree::{Frontier, LeafSeed};

use super::batch::{Batch, Knowledge, Verdict, grow};
use super::{Expected, Ground, Pending, Stream, Unplaced};
use crate::{CommandKey, Receipt};

/// A command, as far as a batch cares.
#[derive(Clone, Debug)]
struct Wish {
    stream: u8,
    key: Option<u8>,
    expected: Option<u64>,
    events: u64,
}

/// What is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Place { first_position: u64, sequence: u64 },
    KeyKnown,
    Conflict { expected: u64, found: u64 },
    Wait,
    Unknown,
}

/// A ledger, where everything in it is known.
#[derive(Clone)]
struct Model {
    ground: Ground,
    sequences: BTreeMap<u8, u64>,
    keys: BTreeSet<u8>,
}

fn wish() -> impl Strategy<Value = Wish> {
    let expected = proptest::option::weighted(0.8, 0..8_u64);
    (0..4_u8, proptest::option::of(0..16_u8), expected, 1..=4_u64).prop_map(|(stream, key, expected, events)| Wish {
        stream,
        key,
        expected,
        events,
    })
}

fn stream(number: u8) -> Stream {
    ("tool", format!("default/{number}").into())
}

fn key(number: u8) -> CommandKey {
    let id = format!("key-{number}");
    CommandKey { body: Digest::of(id.as_bytes()), id: id.parse().unwrap() }
}

fn pending(wish: &Wish) -> Pending {
    let (tenant, stream, metadata) = (Tenant::default_tenant(), stream(wish.stream), "{}".to_owned());
    let event = |ordinal: u64| {
        let (event_type, event_version, payload) = ("ToolRetired", "1", format!("\"{ordinal}\""));
        let (aggregate_type, aggregate_id) = (stream.0, &*stream.1);
        let said = Placeless {
            tenant: &tenant,
            aggregate_type,
            aggregate_id,
            event_type,
            event_version,
            payload: &payload,
            metadata: &metadata,
        };
        let seed = LeafSeed::new(&said).unwrap();
        Unplaced { event_type, event_version, payload, seed }
    };
    Pending {
        events: (0..wish.events).map(event).collect(),
        expected: wish.expected.map_or(Expected::Any, Expected::Exactly),
        command: wish.key.map(key),
        blobs: Vec::new(),
        size: 100,
        since: Instant::now(),
        answer: oneshot::channel().0,
        _room: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        tenant,
        stream,
        metadata,
    }
}

impl Model {
    /// A ledger of so many events, in streams that do not matter.
    fn of(size: u64) -> Self {
        let mut frontier = Frontier::default();
        (0..size).for_each(|leaf| frontier.push(Digest::of(&leaf.to_be_bytes()), |_, _| {}));
        let ground = Ground { position: size, recorded_at_us: 1_000, frontier };
        Self { ground, sequences: BTreeMap::new(), keys: BTreeSet::new() }
    }

    fn sequence(&self, stream: u8) -> u64 {
        self.sequences.get(&stream).copied().unwrap_or(0)
    }

    /// What an appender knows that knows of these streams and keys.
    fn knowledge(&self, streams: impl Iterator<Item = u8>, keys: impl Iterator<Item = u8>) -> Knowledge {
        Knowledge {
            sequences: streams.map(|number| (stream(number), self.sequence(number))).collect(),
            keys: keys
                .filter(|number| self.keys.contains(number))
                .map(|number| (Tenant::default_tenant(), key(number).id))
                .collect(),
            ..Knowledge::default()
        }
    }

    /// Takes the commands one after the other, and says what is to become of each.
    fn take(&mut self, wishes: &[Wish]) -> Vec<Outcome> {
        let earlier = self.keys.clone();
        let outcomes = wishes.iter().map(|wish| self.take_one(wish, &earlier));
        outcomes.collect()
    }

    fn take_one(&mut self, wish: &Wish, earlier: &BTreeSet<u8>) -> Outcome {
        let found = self.sequence(wish.stream);
        match (wish.key, wish.expected) {
            (Some(key), _) if earlier.contains(&key) => return Outcome::KeyKnown,
            (Some(key), _) if self.keys.contains(&key) => return Outcome::Wait,
            (_, Some(expected)) if expected != found => return Outcome::Conflict { expected, found },
            _ => {}
        }
        self.keys.extend(wish.key);
        self.sequences.insert(wish.stream, found + wish.events);
        let first_position = self.ground.position + 1;
        self.ground.position += wish.events;
        Outcome::Place { first_position, sequence: found + wish.events }
    }

    /// What the database looks at before it takes a batch.
    fn takes(&self, batch: &Batch, wishes: &[Wish]) -> bool {
        let there = |number: u8| (stream(number), self.sequence(number));
        let there: BTreeMap<Stream, u64> = (0..4).map(there).collect();
        let fits = batch.streams.iter().all(|check| check.expected.is_none_or(|at| there[&check.stream] == at));
        let mut placed = wishes.iter().zip(&batch.verdicts).filter(|(_, verdict)| matches!(verdict, Verdict::Place(_)));
        !batch.is_blind() && fits && placed.all(|(wish, _)| wish.key.is_none_or(|key| !self.keys.contains(&key)))
    }
}

fn plan(ground: &Ground, wishes: &[Wish], knowledge: &Knowledge, now_us: i64) -> Batch {
    let mut batch = Batch::on(ground.clone());
    wishes.iter().for_each(|wish| batch.admit(pending(wish), knowledge, now_us));
    batch
}

fn outcome(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Place(receipt) => {
            Outcome::Place { first_position: receipt.first_position, sequence: receipt.sequence }
        }
        Verdict::KeyKnown => Outcome::KeyKnown,
        Verdict::Conflict { expected, found } => Outcome::Conflict { expected: *expected, found: *found },
        Verdict::Wait => Outcome::Wait,
        Verdict::Unknown => Outcome::Unknown,
    }
}

/// Each command whole, one after the other; the tree with all of them, and each receipt's as of its last event.
fn is_sealed(batch: &Batch, before: &Ground, now_us: i64) {
    let recorded_at_us = before.recorded_at_us.max(now_us);
    let (mut frontier, mut nodes, mut sealed) = (before.frontier.clone(), Vec::new(), batch.events.iter());
    let placed = batch.commands.iter().zip(&batch.verdicts).enumerate();
    for (command, (pending, receipt)) in placed.filter_map(|(at, (pending, verdict))| match verdict {
        Verdict::Place(receipt) => Some((at, (pending, receipt))),
        _ => None,
    }) {
        let Receipt { first_position, last_position, sequence, leaf_hashes, .. } = receipt;
        assert_eq!((*first_position, leaf_hashes.len()), (frontier.size() + 1, pending.events.len()));
        for (event, unplaced) in pending.events.iter().enumerate() {
            let sequence = sequence + 1 + event as u64 - pending.events.len() as u64;
            let place = Place { position: frontier.size() + 1, recorded_at_us, sequence };
            let (leaf, found) = (unplaced.seed.at(place), sealed.next().unwrap());
            assert_eq!((found.command, found.event, found.sequence), (command, event, sequence));
            assert_eq!((found.leaf_hash, leaf_hashes[event]), (leaf, leaf));
            grow(&mut frontier, leaf, &mut nodes);
        }
        assert_eq!(
            (*last_position, receipt.tree_size, receipt.root),
            (frontier.size(), frontier.size(), frontier.root())
        );
    }
    assert!(sealed.next().is_none());
    assert_eq!(batch.nodes, nodes);
    let ground = &batch.ground;
    assert_eq!((batch.after.position, ground.position), (before.position, frontier.size()));
    assert_eq!((&ground.frontier, ground.recorded_at_us), (&frontier, recorded_at_us));
}

proptest! {
    #[test]
    fn commands_of_a_batch_are_chained_or_refused_as_if_they_came_one_after_the_other(
        size in 0..600_u64,
        batches in vec((vec(wish(), 1..40), any::<[bool; 4]>(), 0..3_000_i64), 1..6),
    ) {
        let mut model = Model::of(size);
        for (wishes, remembered, now_us) in batches {
            let before = model.clone();
            let known = (0..4).filter(|stream| remembered[usize::from(*stream)]);
            let hopeful = plan(&before.ground, &wishes, &before.knowledge(known, std::iter::empty()), now_us);
            let asked = before.knowledge(0..4, 0..16);
            let sure = plan(&before.ground, &wishes, &asked, now_us);
            let expected = model.take(&wishes);
            prop_assert!(before.takes(&sure, &wishes));
            prop_assert_eq!(&sure.verdicts.iter().map(outcome).collect::<Vec<_>>(), &expected);
            is_sealed(&sure, &before.ground, now_us);
            for check in &sure.streams {
                let number = (0..4).find(|number| stream(*number) == check.stream).unwrap();
                prop_assert_eq!(check.sequence, model.sequence(number));
            }
            // What is planned on less knowledge is the same, or the database does not take it.
            if before.takes(&hopeful, &wishes) {
                for (verdict, expected) in hopeful.verdicts.iter().zip(&expected) {
                    let outcome = outcome(verdict);
                    // Nobody has looked at its key yet: that is done before a conflict is told.
                    let is_premature = matches!(outcome, Outcome::Conflict { .. }) && *expected == Outcome::KeyKnown;
                    prop_assert!(is_premature || outcome == *expected, "{:?} is not {:?}", outcome, expected);
                }
                is_sealed(&hopeful, &before.ground, now_us);
            }
            model.ground = sure.ground;
        }
    }
}
