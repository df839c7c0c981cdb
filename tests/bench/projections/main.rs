//! How fast the query tables are filled from nothing, beside how fast the same events are merely read. Figures depend on the
//! machine; what counts is the ratio, of figures that were taken in turns.
//!
//! `cargo bench -p xagent-tests --bench projections`

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program that measures")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use serde_json::Value;
use xagent_domain::run::{Run, RunEvent};
use xagent_domain::{Digest, Metadata, Tenant, read};
use xagent_ledger::{Append, Expected, Ledger, LedgerOptions};
use xagent_projections::{Rebuild, Tables, Target};
use xagent_stack::{Need, Stack, StackOptions};
use xagent_tests::Now;

const HELP: &str = "Benchmarks of the read side: cargo bench -p xagent-tests --bench projections

Fills a ledger with copies of a recorded run, and the query tables from it. The table is printed, and written to
target/bench/projections.md.

  XAGENT_BENCH_EVENTS  events, at least: 200000

Example:
  XAGENT_BENCH_EVENTS=1000000 ./dev bench projections";

/// A recorded run of 49 events: calls allowed, denied, approved; decisions with their inputs.
const RUN: &str = include_str!("../../../projections/replay/tests/fixtures/repo_review_v1.json");
/// Runs that are appended at once, and events of a page.
const AT_ONCE: usize = 64;
const PAGE: u32 = 1000;
const TURNS: usize = 3;

/// The events of the recorded run, as a run of this number.
fn copied(recorded: &[Value], number: u64) -> (String, Vec<RunEvent>) {
    let old = recorded[0]["aggregate_id"].as_str().unwrap();
    let hex: String = Digest::of(&number.to_be_bytes()).to_string().chars().take(32).collect();
    let run = format!("run_{hex}");
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    let event = |event: &Value| {
        let payload = text(event, "payload").replace(old, &run);
        read(&text(event, "event_type"), &text(event, "event_version"), &payload).unwrap()
    };
    let events = recorded.iter().map(event).collect();
    (run, events)
}

async fn fill(ledger: &Ledger, events: u64) {
    let file: Value = serde_json::from_str(RUN).unwrap();
    let recorded = file["events"].as_array().unwrap();
    let runs = 0..events.div_ceil(recorded.len() as u64);
    let append = |number: u64| async move {
        let (aggregate_id, events) = copied(recorded, number);
        let metadata = Metadata { actor: "alice".to_owned(), ..Metadata::default() };
        let (tenant, expected, blobs) = (Tenant::default_tenant(), Expected::Exactly(0), Vec::new());
        let append = Append { tenant, aggregate_id, expected, events, blobs, metadata, command: None };
        ledger.append::<Run>(append).await.unwrap();
    };
    futures::stream::iter(runs).map(append).buffer_unordered(AT_ONCE).count().await;
}

/// Events a second of reading alone.
async fn reading(ledger: &Ledger) -> f64 {
    let (head, begun, mut at) = (ledger.head().await.unwrap().position, Instant::now(), 0);
    while at < head {
        at = ledger.range(at, PAGE).await.unwrap().last().unwrap().position;
    }
    rate(head, begun)
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(events: u64, begun: Instant) -> f64 {
    events as f64 / begun.elapsed().as_secs_f64()
}

async fn run(url: &str, events: u64) -> String {
    xagent_ledger::migrate(url).await.unwrap();
    let ledger = Ledger::connect(url, Arc::new(Now), LedgerOptions::default()).unwrap();
    fill(&ledger, events).await;
    let rebuild = Rebuild::new(ledger.clone(), Tables::connect(url).unwrap());
    let mut table =
        "| events | filled, events/s | merely read, events/s | filled to read |\n|---|---|---|---|\n".to_owned();
    for _ in 0..TURNS {
        let built = rebuild.run(Target::At(ledger.head().await.unwrap().position), &|_, _| {}).await.unwrap();
        assert_eq!(built.built.unreadable, 0);
        let (filled, read) = (built.events_per_second, reading(&ledger).await);
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let ratio = filled as f64 / read;
        table += &format!("| {} | {filled} | {read:.0} | {ratio:.2} |\n", built.events);
    }
    table
}

fn main() {
    if std::env::args().any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}");
        return;
    }
    let events = std::env::var("XAGENT_BENCH_EVENTS").map_or(200_000, |text| {
        text.trim().parse().unwrap_or_else(|_| panic!("XAGENT_BENCH_EVENTS: `{text}` is no number"))
    });
    let root = std::env::var_os("XAGENT_TEST_ROOT").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = root.join("bench-projections");
    std::fs::create_dir_all(&folder).unwrap();
    let options = StackOptions { folder, postgres: Need::Private, nats: Need::None, redis: Need::None };
    let stack = Stack::start(options).unwrap();
    let report = tokio::runtime::Runtime::new().unwrap().block_on(run(stack.postgres_url(), events));
    println!("{report}");
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("projections.md"), report).unwrap();
}
