//! What appending costs in a ledger of 10 thousand, 1 million and 10 million events, and how fast one is verified.

use std::fmt::Write as _;
use std::time::Instant;

use xagent_domain::Tenant;
use xagent_domain::tool::Tool;
use xagent_ledger::{Against, Append, Expected, Ledger};

use crate::figures::Figures;
use crate::peers::{event, metadata, ours};

const SIZES: [u64; 3] = [10_000, 1_000_000, 10_000_000];
const WRITERS: usize = 64;
const TURNS: usize = 3;
const COMMAND: usize = 64;

/// Appends events of a few hundred bytes until there are `size`.
async fn fill(ledger: &Ledger, size: u64) {
    let mut sequence = 0;
    while ledger.head().await.unwrap().position < size {
        let appends = (0..WRITERS).map(|writer| {
            let append = Append {
                tenant: Tenant::default_tenant(),
                aggregate_id: format!("fill-{size}-{sequence}-{writer}"),
                expected: Expected::Exactly(0),
                events: vec![event(256); COMMAND],
                blobs: Vec::new(),
                metadata: metadata(),
                command: None,
            };
            async move { ledger.append::<Tool>(append).await.unwrap() }
        });
        futures::future::join_all(appends).await;
        sequence += 1;
    }
}

/// Throughput and latency at each size.
pub async fn table(url: &str) -> String {
    let ledger = crate::ledger(url);
    let mut table = "| events | appends by 64 writers, events/s | p50 ms | p99 ms | one writer, p50 ms |\n".to_owned();
    table.push_str("|---|---|---|---|---|\n");
    for size in SIZES {
        fill(&ledger, size).await;
        let [mut many, mut one] = [(); 2].map(|()| Figures::default());
        for turn in 0..TURNS {
            many.add(ours(ledger.clone(), WRITERS, format!("many-{size}-{turn}")).await);
            one.add(ours(ledger.clone(), 1, format!("one-{size}-{turn}")).await);
        }
        let (rate, p50, p99) = (many.rate(), many.percentile(50), many.percentile(99));
        let _ = writeln!(table, "| {size} | {rate:.0} | {p50:.2} | {p99:.2} | {:.2} |", one.percentile(50));
    }
    table
}

/// The rate at which what is there is verified.
pub async fn verification(url: &str) -> String {
    let ledger = crate::ledger(url);
    fill(&ledger, 500_000).await;
    let begin = Instant::now();
    let verified = ledger.verify(&Against::default(), |_| {}).await.unwrap();
    assert_eq!(verified.fault, None);
    let seconds = begin.elapsed().as_secs_f64();
    format!("verify: {:.0} events/s over {} events\n", verified.events as f64 / seconds, verified.events)
}
