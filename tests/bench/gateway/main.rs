//! Governed tool calls over HTTP against a stock OPA server that decides the same inputs and records nothing: one load
//! generator, in turns of one run. Figures depend on the machine; what counts is the ratios.
//!
//! `cargo bench -p xagent-tests --bench gateway [-- CONNECTIONS...]`; needs `cargo build --release --bin xagent`.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program that measures")]

mod load;
mod ours;
mod stock;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use load::Figures;
use ours::Ours;
use stock::Stock;

/// Turns of each contestant, so that what slows the machine for a while slows both.
const TURNS: usize = 3;
const TURN: Duration = Duration::from_secs(3);
/// The decisions in one governed call: whether the caller may propose it, and whether it may be made.
const DECISIONS: f64 = 2.0;

const HEADINGS: &str = "| connections | ours: calls a second | p50 ms | p99 ms | ours: decisions a second | OPA: decisions a \
                        second | p50 ms | p99 ms | decisions, ours to OPA | calls, ours to OPA's decisions |\n\
                        |---|---|---|---|---|---|---|---|---|---|\n";

/// The doors alone, as they are scaled apart: what is done of a call before it is answered. And all roles in one process,
/// where workers, the relay and the views take their part of the same cores.
const SERVERS: [(&str, &str); 2] =
    [("api", "the doors alone"), ("api,worker,relay,projector", "all roles in one process")];

async fn run((roles, title): (&str, &str), connections: &[usize]) -> String {
    let ours = Ours::start(roles).await;
    let stock = Stock::start(&ours.bundle, ours.inputs().await);
    let mut table = format!(
        "## Tool calls over HTTP, {title}: token, two decisions, fsynced events and receipt; OPA decides the same {} inputs of {} \
         bytes on average and records nothing\n\n{HEADINGS}",
        stock.count(),
        stock.bytes(),
    );
    for &connections in connections {
        let (mut we, mut they) = (Figures::default(), Figures::default());
        for _ in 0..TURNS {
            we.add(ours.turn(connections, TURN).await);
            ours.settled().await;
            they.add(stock.turn(connections, TURN).await);
        }
        let (calls, theirs) = (we.rate(), they.rate());
        let _ = writeln!(
            table,
            "| {connections} | {calls:.0} | {:.1} | {:.1} | {:.0} | {theirs:.0} | {:.1} | {:.1} | {:.2} | {:.2} |",
            we.percentile(50),
            we.percentile(99),
            calls * DECISIONS,
            they.percentile(50),
            they.percentile(99),
            calls * DECISIONS / theirs,
            calls / theirs,
        );
    }
    let _ = writeln!(table, "\nThe server took {} MiB at most.", ours.most_memory_mib());
    table
}

fn main() {
    let asked = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let number = |text: String| text.parse().unwrap_or_else(|_| panic!("`{text}` is no number of connections"));
    let mut connections: Vec<usize> = asked.map(number).collect();
    if connections.is_empty() {
        connections = vec![1, 16, 64, 256];
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = SERVERS.map(|server| runtime.block_on(run(server, &connections))).join("\n");
    println!("{report}");
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("gateway.md"), report).unwrap();
}
