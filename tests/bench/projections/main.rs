//! The read side: how fast views are filled, how fast events are relayed and pushed, and how long it takes from a commit to
//! the view. Figures depend on the machine; what counts are ratios, of figures that were taken in turns.
//!
//! `cargo bench -p xagent-tests --bench projections`

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program that measures")]

mod filled;
mod latency;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::Value;
use sqlx::PgPool;
use xagent_domain::run::{Run, RunEvent};
use xagent_domain::{Digest, Metadata, Tenant, read};
use xagent_ledger::{Append, Expected, Ledger, LedgerOptions};
use xagent_projections::{Bus, RunViews};
use xagent_stack::{Need, Stack, StackOptions};
use xagent_tests::{Now, peak_mib};

const HELP: &str = "Benchmarks of the read side: cargo bench -p xagent-tests --bench projections [-- PART...]

  views    fills the query tables and the views in Redis from nothing, beside merely reading
  relay    relays all there is to JetStream, beside how fast it was appended
  latency  from a commit to the view in Redis, at 100, 500 and 2,000 events a second
  loki     pushes all there is to a Loki, where one is built

All parts are run where none is named, over copies of a recorded run. The tables are printed, and written to
target/bench/projections.md.

  XAGENT_BENCH_EVENTS  events, at least: 200000

Example:
  XAGENT_BENCH_EVENTS=1000000 ./dev bench projections views";

const PARTS: [&str; 4] = ["views", "relay", "latency", "loki"];

/// A recorded run of 49 events: calls allowed, denied, approved; decisions with their inputs.
const RUN: &str = include_str!("../../../projections/replay/tests/fixtures/repo_review_v1.json");
/// Runs that are appended at once.
const AT_ONCE: usize = 64;
/// The longest that something is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is measured on.
struct Servers {
    postgres: String,
    superuser: PgPool,
    ledger: Ledger,
    bus: Bus,
    views: RunViews,
}

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

/// Copies of the recorded run, at least so many events.
async fn fill(ledger: &Ledger, events: u64) {
    let file: Value = serde_json::from_str(RUN).unwrap();
    let recorded = Arc::new(file["events"].as_array().unwrap().clone());
    let runs = 0..events.div_ceil(recorded.len() as u64);
    let append = |number: u64| {
        let (ledger, recorded) = (ledger.clone(), recorded.clone());
        tokio::spawn(async move {
            let (aggregate_id, events) = copied(&recorded, number);
            let metadata = Metadata { actor: "alice".to_owned(), ..Metadata::default() };
            let (tenant, expected, blobs) = (Tenant::default_tenant(), Expected::Exactly(0), Vec::new());
            let append = Append { tenant, aggregate_id, expected, events, blobs, metadata, command: None };
            ledger.append::<Run>(append).await.unwrap();
        })
    };
    futures::stream::iter(runs).map(append).buffer_unordered(AT_ONCE).for_each(async |done| done.unwrap()).await;
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn per_second(events: u64, took: Duration) -> f64 {
    events as f64 / took.as_secs_f64()
}

fn rate(events: u64, begun: Instant) -> f64 {
    per_second(events, begun.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn ratio(one: u64, other: f64) -> f64 {
    one as f64 / other
}

/// Waits until something is at a position.
async fn reached<F: Future<Output = Option<u64>>>(what: &str, at: impl Fn() -> F, position: u64) {
    let begun = Instant::now();
    while at().await.is_none_or(|at| at < position) {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come to {position}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn run(stack: &Stack, events: u64, parts: &[String]) -> String {
    let url = stack.postgres_url();
    xagent_ledger::migrate(url).await.unwrap();
    let servers = Servers {
        postgres: url.to_owned(),
        superuser: PgPool::connect(url).await.unwrap(),
        ledger: Ledger::connect(url, Arc::new(Now), LedgerOptions::default()).unwrap(),
        bus: Bus::connect(stack.nats_url()).await.unwrap(),
        views: RunViews::connect(stack.redis_url()).unwrap(),
    };
    let begun = Instant::now();
    fill(&servers.ledger, events).await;
    let appended = rate(servers.ledger.head().await.unwrap().position, begun);
    let mut report = String::new();
    for part in parts {
        let table = match part.as_str() {
            "views" => filled::views(&servers).await,
            "relay" => filled::relay(&servers, appended).await,
            "latency" => latency::latency(&servers).await,
            _ => filled::loki(&servers).await,
        };
        println!("{table}");
        report += &format!("{table}\n");
    }
    let most = peak_mib(std::process::id())
        .map_or_else(String::new, |most| format!("Most memory of this process: {most} MiB.\n"));
    report + &most
}

/// The parts that were asked for.
fn parts() -> Vec<String> {
    let named: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    for part in &named {
        assert!(PARTS.contains(&part.as_str()), "`{part}` is no part: {}", PARTS.join(", "));
    }
    if named.is_empty() { PARTS.map(str::to_owned).to_vec() } else { named }
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
    let options = StackOptions { folder, postgres: Need::Private, nats: Need::Private, redis: Need::Private };
    let stack = Stack::start(options).unwrap();
    let report = tokio::runtime::Runtime::new().unwrap().block_on(run(&stack, events, &parts()));
    println!("{report}");
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("projections.md"), report).unwrap();
}
