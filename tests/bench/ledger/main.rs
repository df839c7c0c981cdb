//! The ledger against its peers, in one run on one Postgres. Figures depend on the machine; what counts is the ratios.
//!
//! `cargo bench -p xagent-tests --bench ledger [-- PART...]`, the parts being `append`, `growth` and `verify`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

mod append;
mod figures;
mod growth;
mod peers;

use std::path::PathBuf;
use std::sync::Arc;

use xagent_ledger::{Clock, Ledger, LedgerOptions};
use xagent_stack::{Need, Stack, StackOptions};

const PARTS: [&str; 3] = ["append", "growth", "verify"];

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

async fn run(url: &str, parts: &[&str]) -> String {
    xagent_ledger::migrate(url).await.unwrap();
    let mut report = String::new();
    for part in parts {
        report += &match *part {
            "append" => append::table(url).await,
            "growth" => growth::table(url).await,
            _ => growth::verification(url).await,
        };
        report.push('\n');
    }
    report
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
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
