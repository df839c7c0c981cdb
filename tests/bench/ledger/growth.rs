//! What appending costs in a ledger of 10 thousand, 1 million and 10 million events. Copies of the smallest one take turns
//! with each of the others, so that what the machine does besides strikes both, and each is first in every other turn.
//! Copies are made before and dropped after all turns: a dropped database leaves the server free buffers, and whoever is
//! measured next writes none out to get some.

use std::fmt::Write as _;

use crate::databases::Databases;
use crate::figures::Figures;
use crate::fill::fill;
use crate::numbers;
use crate::peers::ours;

const WRITERS: usize = 64;
/// One more turn goes before, in which the buffers that settling left clean are used up.
const TURNS: usize = 12;
const HEADINGS: &str = "| events | 64 writers, events/s | p50 ms | p99 ms | one writer, p50 ms | the smallest one in the \
                        same turns, events/s | p50 ms | p99 ms | one writer, p50 ms | 64 writers, cost by rate | by p50 | one \
                        writer, by p50 |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n";
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
        let copies: Vec<_> = (0..=TURNS).map(|turn| format!("small_{size}_{turn}")).collect();
        for copy in &copies {
            databases.copy_of(SMALLEST, copy).await;
        }
        databases.settle(LARGE).await;
        let [mut it, mut smallest] = [(); 2].map(|()| Side::default());
        for (turn, copy) in copies.iter().enumerate() {
            if turn == 1 {
                [it, smallest] = [(); 2].map(|()| Side::default());
            }
            let (copy, turn_name) = (databases.url(copy), format!("{size}-{turn}"));
            let mut sides = [(&mut it, &large), (&mut smallest, &copy)];
            if turn % 2 == 1 {
                sides.reverse();
            }
            for (side, url) in sides {
                side.turn(url, &turn_name).await;
            }
        }
        for copy in &copies {
            databases.drop(copy).await;
        }
        let _ = write!(table, "| {size} |");
        it.write(&mut table);
        smallest.write(&mut table);
        let rate = smallest.many.rate() / it.many.rate();
        let [many, one] = [(&it.many, &smallest.many), (&it.one, &smallest.one)]
            .map(|(it, smallest)| it.percentile(50) / smallest.percentile(50));
        let _ = writeln!(table, " {rate:.2} | {many:.2} | {one:.2} |");
    }
    table
}
