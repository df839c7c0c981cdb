//! Readers that follow the ledger from its beginning while faults happen: each position once, in order, for good.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use xagent_domain::Digest;
use xagent_ledger::{Ledger, LedgerError, LedgerOptions};
use xagent_tests::{Now, PATIENCE};

pub struct Reader {
    end: watch::Sender<u64>,
    task: JoinHandle<Vec<Digest>>,
}

impl Reader {
    /// One that waits for notifications, or else one that asks again and again.
    pub fn start(url: &str, waits: bool) -> Self {
        let options = LedgerOptions { connections: 2, ..LedgerOptions::default() };
        let ledger = Ledger::connect(url, Arc::new(Now), options).unwrap();
        let (end, ending) = watch::channel(u64::MAX);
        Self { end, task: tokio::spawn(follow(ledger, waits, ending)) }
    }

    /// Waits until it has read the event at `end`, and gives the leaf hashes it has read.
    pub async fn finish(self, end: u64) -> Vec<Digest> {
        self.end.send_replace(end);
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }
}

async fn follow(ledger: Ledger, waits: bool, ending: watch::Receiver<u64>) -> Vec<Digest> {
    let patience = if waits { Duration::from_millis(200) } else { Duration::ZERO };
    let (mut events, mut read) = (ledger.subscribe(0, 300), Vec::new());
    while (read.len() as u64) < *ending.borrow() {
        let page = match events.next_within(patience).await {
            Ok(page) => page,
            Err(LedgerError::Unavailable { .. }) => Vec::new(),
            Err(error) => panic!("{error}"),
        };
        if page.is_empty() {
            let pause = rand::rng().random_range(5..40);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        for event in page {
            assert_eq!(event.position, read.len() as u64 + 1, "a position was missed, or seen twice");
            read.push(event.leaf_hash);
        }
    }
    read
}
