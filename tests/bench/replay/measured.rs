//! A program run to its end: what it said, how long it took, and the most memory it had, as the system counts it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Command;

/// One run.
pub struct Ran {
    pub said: Value,
    pub seconds: f64,
    pub peak_mib: Option<f64>,
}

/// All runs of one contestant.
#[derive(Default)]
pub struct Measured {
    decisions: u64,
    seconds: f64,
    pub peak_mib: f64,
}

impl Measured {
    pub fn add(&mut self, ran: Ran, decisions: impl Fn(&Value) -> u64) {
        self.decisions += decisions(&ran.said);
        self.seconds += ran.said["seconds"].as_f64().unwrap_or(ran.seconds);
        self.peak_mib = self.peak_mib.max(ran.peak_mib.unwrap_or_default());
    }

    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.decisions as f64 / self.seconds } else { 0.0 }
    }
}

/// The release binary on a database.
pub async fn xagent(url: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(binary());
    command.env("XAGENT_DATABASE_URL", url).env("XAGENT_LOG", "error").args(arguments);
    run(command).await
}

pub async fn run(mut command: Command) -> Ran {
    let begin = Instant::now();
    let child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id().unwrap()));
    let (mut output, mut peak) = (std::pin::pin!(child.wait_with_output()), None);
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let output = loop {
        tokio::select! {
            output = &mut output => break output.unwrap(),
            _ = look.tick() => peak = peak_mib(&status).or(peak),
        }
    };
    let seconds = begin.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ran { said: serde_json::from_slice(&output.stdout).unwrap(), seconds, peak_mib: peak }
}

/// The high-water mark of a living process.
fn peak_mib(status: &Path) -> Option<f64> {
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
