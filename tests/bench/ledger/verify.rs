//! How fast `xagent verify` is, and the most memory that it takes: the binary's own, as the system counts it.

use std::fmt::Write as _;

use xagent_tests::{Ran, xagent_on};

use crate::databases::Databases;
use crate::fill::fill;
use crate::growth::LARGE;
use crate::numbers;

const SMALL: &str = "tenth";

/// What one run of the binary said, and the most memory it had, in MiB; nothing where the system does not tell.
struct Verified {
    events: u64,
    rate: f64,
    peak_mib: Option<f64>,
}

/// The rate over a large ledger.
pub async fn rate(databases: &Databases) -> String {
    let Verified { events, rate, .. } = large(databases).await;
    format!("verify: {rate:.0} events/s over {events} events\n")
}

/// The peak over a large ledger, and over one of a tenth of it.
pub async fn memory(databases: &Databases) -> String {
    let small = filled(databases, SMALL, events() / 10).await;
    let mut table = "| events | peak memory of `xagent verify`, MiB |\n|---|---|\n".to_owned();
    for verified in [verified(&small).await, large(databases).await] {
        let peak = verified.peak_mib.map_or_else(|| "not told by this system".to_owned(), |peak| format!("{peak:.0}"));
        let _ = writeln!(table, "| {} | {peak} |", verified.events);
    }
    table
}

fn events() -> u64 {
    numbers("XAGENT_BENCH_EVENTS", [5_000_000])[0]
}

/// Over the ledger that `growth` left behind, where it was run; large enough in any case.
async fn large(databases: &Databases) -> Verified {
    verified(&filled(databases, LARGE, events()).await).await
}

async fn filled(databases: &Databases, name: &str, size: u64) -> String {
    let url = if databases.has(name).await { databases.url(name) } else { databases.copy(name).await };
    fill(&crate::ledger(&url), size).await;
    url
}

async fn verified(url: &str) -> Verified {
    let Ran { said, peak_mib, .. } = xagent_on(url, &["--json", "verify"]).await;
    Verified { events: said["events"].as_u64().unwrap(), rate: said["events_per_second"].as_f64().unwrap(), peak_mib }
}
