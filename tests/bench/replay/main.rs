//! Verify and what-if over a large history, from the database, against OPA in process on the same inputs, in turns of one
//! run. Figures depend on the machine; what counts is the ratios.
//!
//! `cargo bench -p xagent-tests --bench replay [-- DECISIONS]`; needs `cargo build --release --bin xagent`, and Go for OPA.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program that measures")]

mod measured;
mod opa;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use xagent_ledger::{Ledger, LedgerOptions};
use xagent_policies::Bundle;
use xagent_stack::{Need, Stack, StackOptions};
use xagent_tests::{History, Now, xagent_on};

use measured::Measured;
use opa::Opa;

/// Decisions where none are asked for.
const DECISIONS: u64 = 100_000;
/// Turns of each contestant, so that what slows the machine for a while slows all of them. Where a turn takes minutes, it
/// does so anyway.
const TURNS: usize = 2;
const TAKES_MINUTES: u64 = 500_000;
/// Bytes of a call's arguments, which bring its input to about 2 KB.
const ARGUMENTS: usize = 900;

async fn run(decisions: u64) -> String {
    let folder = xagent_tests::folder("bench-replay-");
    let options =
        StackOptions { folder: folder.path().to_owned(), postgres: Need::Private, nats: Need::None, redis: Need::None };
    let stack = tokio::task::spawn_blocking(move || Stack::start(options)).await.unwrap().unwrap();
    let url = stack.postgres_url().to_owned();
    xagent_ledger::migrate(&url).await.unwrap();
    let (stock, candidate) = (Bundle::stock().unwrap(), candidate());
    let ledger = Ledger::connect(&url, Arc::new(Now), LedgerOptions::default()).unwrap();
    let filled = History::under(&ledger, &stock, ARGUMENTS).await.fill(1, decisions).await;
    let law = folder.path().join("candidate");
    write(&candidate, &law);
    let inputs = opa::inputs(&ledger, &folder.path().join("inputs.ndjson")).await;
    let opa = Opa::build(&stock, folder.path());

    let law = law.display().to_string();
    let what_if = ["--json", "what-if", &law, "--coverage", "none"];
    let confirmed = ["--json", "what-if", &law, "--coverage", "none", "--confirm"];
    let verify = ["--json", "replay", "--all"];
    let mut turns: [Measured; 4] = Default::default();
    for _ in 0..if decisions < TAKES_MINUTES { TURNS } else { 1 } {
        turns[0].add(xagent_on(&url, &what_if).await, decided);
        turns[1].add(xagent_on(&url, &confirmed).await, decided);
        turns[2].add(xagent_on(&url, &verify).await, replayed);
        if let Some(opa) = &opa {
            turns[3].add(opa.decide(&inputs.file).await, |said| said["decided"].as_u64().unwrap());
        }
    }
    table(filled, inputs.bytes / inputs.count, &turns)
}

fn decided(said: &Value) -> u64 {
    assert_eq!((&said["undecided"]["count"], &said["engine_changes"]["changed"]), (&0.into(), &0.into()));
    said["decided"].as_u64().unwrap()
}

fn replayed(said: &Value) -> u64 {
    assert_eq!(said["identical"], true);
    said["runs"].as_array().unwrap().iter().map(|run| run["decided_again"].as_u64().unwrap()).sum()
}

fn table(decisions: u64, bytes: u64, turns: &[Measured; 4]) -> String {
    let cores = std::thread::available_parallelism().unwrap();
    let mut table = format!(
        "## History decided again: {decisions} decisions from the database, inputs of {bytes} bytes on average, {cores} \
         cores\n\n| what | decisions a second | evaluations a second | peak memory, MiB | to OPA in process, by decisions |\n\
         |---|---|---|---|---|\n"
    );
    let theirs = turns[3].rate();
    let rows = [
        ("what-if, another bundle: no two inputs alike, nothing changes", 1.0),
        ("what-if --confirm: each decision made by both bundles", 2.0),
        ("replay --all: inputs rebuilt, commands fed again, states folded", 1.0),
        ("OPA in process, from a file, decided once", 1.0),
    ];
    for ((name, evaluations), measured) in rows.iter().zip(turns).filter(|(_, measured)| measured.rate() > 0.0) {
        let ratio = if theirs > 0.0 { format!("{:.2}", measured.rate() / theirs) } else { String::new() };
        let (rate, peak) = (measured.rate(), measured.peak_mib);
        let _ = writeln!(table, "| {name} | {rate:.0} | {:.0} | {peak:.0} | {ratio} |", rate * evaluations);
    }
    table
}

/// The stock law, a little stricter where nobody of this history goes.
fn candidate() -> Bundle {
    let stock = Bundle::stock().unwrap();
    let mut data: Value = serde_json::from_str(stock.data()).unwrap();
    data["config"]["network"]["ports"] = serde_json::json!([443]);
    Bundle::from_parts(stock.modules().clone(), &data.to_string()).unwrap()
}

fn write(bundle: &Bundle, folder: &std::path::Path) {
    std::fs::create_dir(folder).unwrap();
    for (path, text) in bundle.modules() {
        std::fs::write(folder.join(path), text).unwrap();
    }
    std::fs::write(folder.join("data.json"), bundle.data()).unwrap();
}

fn main() {
    let asked = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let number = |text: String| text.parse().unwrap_or_else(|_| panic!("`{text}` is no number of decisions"));
    let decisions = asked.map_or(DECISIONS, number);
    let report = tokio::runtime::Runtime::new().unwrap().block_on(run(decisions));
    println!("{report}");
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("replay.md"), report).unwrap();
}
