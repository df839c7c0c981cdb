//! What appending costs in a ledger of 10 thousand, 1 million and 10 million events. A copy of the smallest one takes turns
//! with each of the others, so that what the machine does besides strikes both.

use std::fmt::Write as _;

use crate::databases::Databases;
use crate::figures::Figures;
use crate::fill::fill;
use crate::numbers;
use crate::peers::ours;

const WRITERS: usize = 64;
const TURNS: usize = 6;
const HEADINGS: &str = "| events | 64 writers, events/s | p50 ms | p99 ms | one writer, p50 ms | the smallest one in the \
                        same turns, events/s | p50 ms | p99 ms | one writer, p50 ms | cost by 64 writers | latency of one \
                        |\n|---|---|---|---|---|---|---|---|---|---|---|\n";
const SMALLEST: &str = "smallest";
/// The ledger that grows. `verify` goes on with it.
pub const LARGE: &str = "large";

/// How long appends take in one ledger, by many writers and by one.
#[derive(Default)]
struct Side {
    many: Figures,
    one: Figures,
}

impl Side {
    async fn turn(&mut self, url: &str, turn: &str) {
        let ledger = crate::ledger(url);
        // Connections, statements and pages are there once this is done.
        ours(ledger.clone(), WRITERS, format!("warm-{turn}")).await;
        self.many.add(ours(ledger.clone(), WRITERS, format!("many-{turn}")).await);
        self.one.add(ours(ledger, 1, format!("one-{turn}")).await);
    }

    fn write(&self, table: &mut String) {
        let (many, one) = (&self.many, &self.one);
        let (rate, p50, p99) = (many.rate(), many.percentile(50), many.percentile(99));
        let _ = write!(table, " {rate:.0} | {p50:.2} | {p99:.2} | {:.2} |", one.percentile(50));
    }
}

/// Throughput and latency at each size, and what an append costs there in units of the smallest one.
pub async fn table(databases: &Databases) -> String {
    let sizes = numbers("XAGENT_BENCH_GROWTH", [10_000, 1_000_000, 10_000_000]);
    fill(&crate::ledger(&databases.copy(SMALLEST).await), sizes[0]).await;
    databases.settle(SMALLEST).await;
    let large = databases.copy(LARGE).await;
    let mut table = HEADINGS.to_owned();
    for size in sizes {
        fill(&crate::ledger(&large), size).await;
        databases.settle(LARGE).await;
        let [mut it, mut smallest] = [(); 2].map(|()| Side::default());
        for turn in 0..TURNS {
            let (name, turn) = (format!("small_{size}_{turn}"), format!("{size}-{turn}"));
            let copy = databases.copy_of(SMALLEST, &name).await;
            smallest.turn(&copy, &turn).await;
            it.turn(&large, &turn).await;
            databases.drop(&name).await;
        }
        let _ = write!(table, "| {size} |");
        it.write(&mut table);
        smallest.write(&mut table);
        let cost = smallest.many.rate() / it.many.rate();
        let _ = writeln!(table, " {cost:.2} | {:.2} |", it.one.percentile(50) / smallest.one.percentile(50));
    }
    table
}
