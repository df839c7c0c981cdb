//! Programs that benchmarks run to their end: what they said, how long they took, and the most memory they had, as the
//! system counts it (Linux).

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Command;

/// One run of a program that prints JSON.
pub struct Ran {
    /// What it printed.
    pub said: Value,
    /// How long it took.
    pub seconds: f64,
    /// The most memory it had; none where the system does not tell.
    pub peak_mib: Option<f64>,
}

/// The release binary on a database, run to its end.
pub async fn xagent_on(url: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(release_binary());
    command.env("XAGENT_DATABASE_URL", url).env("XAGENT_LOG", "error").args(arguments);
    ran(command).await
}

/// Runs a program to its end.
pub async fn ran(mut command: Command) -> Ran {
    let begin = Instant::now();
    let child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let id = child.id().unwrap();
    let (mut output, mut peak) = (std::pin::pin!(child.wait_with_output()), None);
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let output = loop {
        tokio::select! {
            output = &mut output => break output.unwrap(),
            _ = look.tick() => peak = peak_mib(id).or(peak),
        }
    };
    let seconds = begin.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ran { said: serde_json::from_slice(&output.stdout).unwrap(), seconds, peak_mib: peak }
}

/// The most memory that a living process ever had.
pub fn peak_mib(process: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// The binary beside the folder of the benchmark that asks (target/release/deps).
pub fn release_binary() -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    let binary = bench.parent().and_then(Path::parent).unwrap().join("xagent");
    assert!(binary.is_file(), "{} is missing: run `cargo build --release --bin xagent` first", binary.display());
    binary
}

/// The processor time a process has taken, in clock ticks, which are hundredths of a second (Linux, proc(5)); 0 where that is
/// not known.
pub fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}
