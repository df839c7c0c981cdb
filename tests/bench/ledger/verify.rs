//! How fast `xagent verify` is, and the most memory that it takes: the binary's own, as the system counts it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::databases::Databases;
use crate::fill::fill;
use crate::growth::LARGE;
use crate::numbers;

const SMALL: &str = "tenth";

/// What one run of the binary said, and the most memory it had, in MB; nothing where the system does not tell.
struct Verified {
    events: u64,
    rate: f64,
    peak_mb: Option<f64>,
}

/// The rate over a large ledger.
pub async fn rate(databases: &Databases) -> String {
    let Verified { events, rate, .. } = large(databases).await;
    format!("verify: {rate:.0} events/s over {events} events\n")
}

/// The peak over a large ledger, and over one of a tenth of it.
pub async fn memory(databases: &Databases) -> String {
    let small = filled(databases, SMALL, events() / 10).await;
    let mut table = "| events | peak memory of `xagent verify`, MB |\n|---|---|\n".to_owned();
    for verified in [verified(&small).await, large(databases).await] {
        let peak = verified.peak_mb.map_or_else(|| "not told by this system".to_owned(), |peak| format!("{peak:.0}"));
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
    let mut command = Command::new(binary());
    command.env("XAGENT_DATABASE_URL", url).env("XAGENT_LOG", "error").args(["--json", "verify"]);
    let child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id().unwrap()));
    let (mut output, mut peak) = (std::pin::pin!(child.wait_with_output()), None);
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let output = loop {
        tokio::select! {
            output = &mut output => break output.unwrap(),
            _ = look.tick() => peak = peak_mb(&status).or(peak),
        }
    };
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{said:#}");
    Verified {
        events: said["events"].as_u64().unwrap(),
        rate: said["events_per_second"].as_f64().unwrap(),
        peak_mb: peak,
    }
}

/// The high-water mark of a living process.
fn peak_mb(status: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}

/// The binary beside the folder of this benchmark.
fn binary() -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    let binary = bench.parent().and_then(Path::parent).unwrap().join("xagent");
    assert!(binary.is_file(), "{} is missing: run `cargo build --release --bin xagent` first", binary.display());
    binary
}
