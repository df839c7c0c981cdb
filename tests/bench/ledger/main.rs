//! The ledger against its peers and against itself. Figures depend on the machine; what counts is the ratios, each of
//! figures that were taken in turns.
//!
//! `cargo bench -p xagent-tests --bench ledger [-- PART...]`; `-- --help` says more.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program that measures")]

mod append;
mod commands;
mod databases;
mod figures;
mod fill;
mod governed;
mod growth;
mod latency;
mod loading;
mod peers;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use xagent_ledger::{Clock, Ledger, LedgerOptions};
use xagent_stack::{Need, Stack, StackOptions};

use databases::Databases;

/// The one of the `xagent` binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const PARTS: [&str; 6] = ["append", "commands", "latency", "growth", "verify", "memory"];
const HELP: &str = "Benchmarks of the ledger: cargo bench -p xagent-tests --bench ledger [-- PART...]

  append   durable appends against postgres-es and against a bare INSERT
  commands the state of an aggregate and one durable append to it, against postgres-es
  latency  a tool call through the command side on runs of 10, 1,000 and 10,000 events, warm and cold
  growth   appends to ledgers of 10 thousand, 1 million and 10 million events
  verify   how fast `xagent verify` is
  memory   the most memory that it takes

All parts are run where none is named. The table is printed, and written to target/bench/ledger.md. `verify` and `memory`
need the binary: cargo build --release --bin xagent. What takes long can be made smaller by the environment:

  XAGENT_BENCH_RUNS    lengths of the runs of `latency`, the first one is what others are held to: 10,1000,10000
  XAGENT_BENCH_GROWTH  sizes of the ledgers of `growth`, likewise: 10000,1000000,10000000
  XAGENT_BENCH_EVENTS  events that `verify` and `memory` are about, at least: 5000000

Examples:
  ./dev bench ledger
  XAGENT_BENCH_GROWTH=1000,100000 ./dev bench ledger growth
  XAGENT_BENCH_EVENTS=200000 ./dev bench ledger verify memory";

struct Now;

impl Clock for Now {
    #[expect(clippy::disallowed_methods, reason = "measured time is the machine's")]
    fn now_us(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_micros()).unwrap()
    }
}

fn ledger(url: &str) -> Ledger {
    Ledger::connect(url, Arc::new(Now), LedgerOptions::default()).unwrap()
}

/// The numbers that a variable lists, or these.
fn numbers<const N: usize>(variable: &str, default: [u64; N]) -> Vec<u64> {
    let Ok(text) = std::env::var(variable) else { return default.to_vec() };
    let number = |text: &str| text.trim().parse().unwrap_or_else(|_| panic!("{variable}: `{text}` is no number"));
    text.split(',').map(number).collect()
}

async fn run(url: &str, parts: &[&str]) -> String {
    xagent_ledger::migrate(url).await.unwrap();
    let databases = Databases::of(url);
    let mut report = String::new();
    for part in parts {
        report += &match *part {
            "append" => append::table(&databases).await,
            "commands" => commands::table(&databases).await,
            "latency" => latency::table(&databases.copy("latency").await).await,
            "growth" => growth::table(&databases).await,
            "verify" => verify::rate(&databases).await,
            _ => verify::memory(&databases).await,
        };
        // What is left of a part would be vacuumed while the next one is measured.
        for done in ["append", "commands", "latency"] {
            databases.drop(done).await;
        }
        report.push('\n');
    }
    report
}

fn main() {
    let (flags, asked): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    if flags.iter().any(|flag| flag == "--help" || flag == "-h") {
        println!("{HELP}");
        return;
    }
    let unknown = asked.iter().find(|part| !PARTS.contains(&part.as_str()));
    assert!(unknown.is_none(), "there is no part {unknown:?}; the parts are {PARTS:?}");
    let parts: Vec<_> = PARTS.into_iter().filter(|part| asked.is_empty() || asked.iter().any(|a| a == part)).collect();
    let folder =
        std::env::var_os("XAGENT_TEST_ROOT").map_or_else(std::env::temp_dir, PathBuf::from).join("bench-ledger");
    std::fs::create_dir_all(&folder).unwrap();
    let options = StackOptions { folder, postgres: Need::Private, nats: Need::None, redis: Need::None };
    let stack = Stack::start(options).unwrap();
    let report = tokio::runtime::Runtime::new().unwrap().block_on(run(stack.postgres_url(), &parts));
    println!("{report}");
    let results = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("ledger.md"), report).unwrap();
}
