//! Filling a ledger by its own appender: rows, keys, nodes and head are what commands leave behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use xagent_domain::tool::Tool;
use xagent_domain::{Digest, Metadata, Tenant};
use xagent_ledger::{Append, CommandKey, Expected, Ledger};

use crate::peers::{event, metadata};

/// Commands under way at once: what a batch takes, and as many that gather meanwhile.
const WRITERS: u64 = 512;
/// Events of a command. Few, so that there are as many keys as commands would bring.
const COMMAND: u64 = 4;
/// Events of a stream, which is left then for a new one.
const STREAM: u64 = 64;

/// Appends events of a few hundred bytes until there are `size`.
pub async fn fill(ledger: &Ledger, size: u64) {
    let begin = ledger.head().await.unwrap().position;
    let laps = Arc::new(AtomicU64::new(begin / STREAM));
    let writers = (0..WRITERS).map(|_| {
        let (ledger, laps) = (ledger.clone(), laps.clone());
        tokio::spawn(async move {
            loop {
                let lap = laps.fetch_add(1, Ordering::Relaxed);
                if lap * STREAM >= size {
                    return;
                }
                stream(&ledger, lap).await;
            }
        })
    });
    futures::future::join_all(writers).await.into_iter().for_each(Result::unwrap);
    assert!(ledger.head().await.unwrap().position >= size);
}

async fn stream(ledger: &Ledger, lap: u64) {
    for command in 0..STREAM / COMMAND {
        let key = format!("fill-{lap}-{command}-{}", "k".repeat(20));
        let append = Append {
            tenant: Tenant::default_tenant(),
            aggregate_id: format!("default/{}", Digest::of(&lap.to_be_bytes())),
            expected: Expected::Exactly(command * COMMAND),
            events: vec![event(256); usize::try_from(COMMAND).unwrap()],
            blobs: Vec::new(),
            metadata: Metadata { command_id: key.clone(), ..metadata() },
            command: Some(CommandKey { id: key.parse().unwrap(), body: Digest::of(b"body") }),
        };
        ledger.append::<Tool>(append).await.unwrap();
    }
}
