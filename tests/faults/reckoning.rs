//! What must hold after any fault: what was acknowledged is stored, as it was acknowledged, once, without gaps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xagent_domain::{CanonicalJson, Digest, Metadata, Recorded, Tenant};
use xagent_ledger::{Against, Ledger, LedgerOptions};
use xagent_tests::{Acknowledged, Command, Now};
use xagent_tree::Frontier;

use crate::appenders::Appenders;
use crate::reader::Reader;

/// Appenders, and readers that follow them.
pub struct Scene {
    url: String,
    pub appenders: Appenders,
    readers: [Reader; 2],
}

/// All there is.
struct Stored {
    events: Vec<Recorded>,
    /// The root of the tree of each size.
    roots: Vec<Digest>,
}

impl Scene {
    /// On the ledger at `url`, through `door`.
    pub async fn begin(url: &str, door: &str) -> Self {
        let readers = [true, false].map(|waits| Reader::start(door, waits));
        let mut appenders = Appenders::start(door);
        appenders.go_on(5).await;
        Self { url: url.to_owned(), appenders, readers }
    }

    /// Lets all come to their end, and holds the ledger to what was said.
    pub async fn reckon(self) {
        let acknowledged = self.appenders.finish().await;
        let ledger = Ledger::connect(&self.url, Arc::new(Now), LedgerOptions::default()).unwrap();
        let stored = Stored::of(&ledger).await;
        stored.is_in_order();
        stored.is_what_was_acknowledged(&acknowledged);
        for reader in self.readers {
            let read = reader.finish(stored.events.len() as u64).await;
            let leaves = stored.events.iter().map(|event| event.leaf_hash);
            assert!(read.into_iter().eq(leaves), "a reader saw what is not there");
        }
        is_remembered(&ledger, &acknowledged).await;
        let verification = ledger.verify(&Against::default(), |_, _| {}).await.unwrap();
        assert_eq!((verification.fault, verification.events), (None, stored.events.len() as u64));
        assert_eq!(verification.root.as_ref(), stored.roots.last());
    }
}

impl Stored {
    async fn of(ledger: &Ledger) -> Self {
        let (mut events, mut roots, mut frontier) = (Vec::<Recorded>::new(), Vec::new(), Frontier::default());
        loop {
            let page = ledger.range(events.len() as u64, 1000).await.unwrap();
            if page.is_empty() {
                assert_eq!(ledger.head().await.unwrap().position, events.len() as u64);
                return Self { events, roots };
            }
            for event in page {
                frontier.push(event.leaf_hash, |_, _| {});
                roots.push(frontier.root());
                events.push(event);
            }
        }
    }

    /// Positions and sequences follow on each other, and time does not go back.
    fn is_in_order(&self) {
        let (mut sequences, mut now) = (BTreeMap::<&str, u64>::new(), 0);
        for (event, position) in self.events.iter().zip(1..) {
            assert_eq!(event.position, position);
            let sequence = sequences.entry(&event.aggregate_id).or_default();
            *sequence += 1;
            assert_eq!(event.sequence, *sequence, "position {position} in {}", event.aggregate_id);
            assert!(event.recorded_at_us >= now, "position {position} is older than the one before it");
            now = event.recorded_at_us;
        }
    }

    /// Each command's events stand where its receipt says, and nowhere else; there is nothing but these.
    fn is_what_was_acknowledged(&self, acknowledged: &[Acknowledged]) {
        let mut places = BTreeSet::new();
        for Acknowledged { key, receipt, .. } in acknowledged {
            let command = Command::of(key);
            let range = receipt.first_position..=receipt.last_position;
            assert_eq!(range.clone().count(), command.events.len(), "{key}");
            assert_eq!(receipt.leaf_hashes.len(), command.events.len(), "{key}");
            for (place, position) in range.enumerate() {
                let event = &self.events[usize::try_from(position).unwrap() - 1];
                let metadata: Metadata = serde_json::from_str(&event.metadata).unwrap();
                assert_eq!((&event.aggregate_id, &metadata.command_id), (&command.stream, key));
                assert_eq!(event.payload, CanonicalJson::of(&command.events[place]).unwrap().into_string(), "{key}");
                assert_eq!(event.leaf_hash, receipt.leaf_hashes[place], "{key}");
                assert_eq!(event.sequence, receipt.sequence + 1 + place as u64 - command.events.len() as u64, "{key}");
                assert!(places.insert(position), "{key} is where another command is");
            }
            assert_eq!(receipt.tree_size, receipt.last_position, "{key}");
            assert_eq!(receipt.root, self.roots[usize::try_from(receipt.tree_size).unwrap() - 1], "{key}");
        }
        assert_eq!(places.len(), self.events.len(), "there are events that no command was answered for");
    }
}

/// A repetition would be answered with the first receipt, and the content that events refer to is there.
async fn is_remembered(ledger: &Ledger, acknowledged: &[Acknowledged]) {
    let tenant = Tenant::default_tenant();
    let blobs: BTreeSet<_> =
        acknowledged.iter().filter_map(|each| Command::of(&each.key).blob).map(|b| b.digest).collect();
    for blob in blobs {
        ledger.blob(&blob).await.unwrap();
    }
    for Acknowledged { key, receipt, .. } in acknowledged.iter().step_by(acknowledged.len() / 100 + 1) {
        let remembered = ledger.receipt(&tenant, &Command::of(key).command_key()).await.unwrap();
        assert_eq!(remembered.as_ref(), Some(receipt), "{key}");
    }
}
