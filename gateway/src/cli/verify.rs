//! `xagent verify`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use xagent_commands::SystemClock;
use xagent_ledger::{Against, Ledger, LedgerOptions, Verification};
use xagent_tree::{Checkpoint, Verifier};

use super::progress::progress;
use super::serve::Servers;
use super::terminal::Paint;
use super::{CliError, Context};

const MORE: &str = "Exit code: 0 all of it holds, 1 what does not is printed, 2 it could not be verified.
What each kind of fault means and what to do: docs/errors/tampered.md.

Examples:
  xagent verify
  xagent verify --blobs --snapshots --json
  xagent verify --checkpoint /safe/checkpoint --key NAME+HASH+KEY
  xagent verify --archive /cold/events-1.xa --archive /cold/events-2.xa";

#[derive(Args)]
#[command(after_help = MORE)]
pub struct Verify {
    #[command(flatten)]
    servers: Servers,
    /// A checkpoint that was kept outside; may be repeated
    #[arg(long = "checkpoint", value_name = "FILE", requires = "keys")]
    checkpoints: Vec<PathBuf>,
    /// A key that may have signed those checkpoints, NAME+HASH+KEY as `xagent ledger keys` shows them; may be repeated
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<Verifier>,
    /// The file of an archived range, whose events are checked too; may be repeated
    #[arg(long = "archive", value_name = "FILE")]
    archives: Vec<PathBuf>,
    /// Read and hash every stored blob, too
    #[arg(long)]
    blobs: bool,
    /// Fold every stream that has a snapshot from its first event on, too, and compare
    #[arg(long)]
    snapshots: bool,
}

impl Verify {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let database = self.servers.database(&context.home)?;
        let ledger = Ledger::connect(&database, Arc::new(SystemClock), LedgerOptions::default())?;
        let checkpoints = self.outside()?;
        let against = Against { checkpoints, archives: self.archives, blobs: self.blobs, snapshots: self.snapshots };
        let (progress, begin) = (progress(0, context.json), Instant::now());
        let told = |done, end| {
            progress.set_length(end);
            progress.set_position(done);
        };
        let verification = ledger.verify(&against, told).await?;
        progress.finish_and_clear();
        print(context, &verification, begin.elapsed());
        Ok(if verification.fault.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn outside(&self) -> Result<Vec<Checkpoint>, CliError> {
        let read = |path: &PathBuf| {
            let wrong = |message: String| CliError::new(format!("{}: {message}", path.display()), "check file and key");
            let note = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
            Checkpoint::open_any(&note, &self.keys).map_err(|error| wrong(error.to_string()))
        };
        self.checkpoints.iter().map(read).collect()
    }
}

fn print(context: &Context, verification: &Verification, took: Duration) {
    let rate = verification.events as f64 / took.as_secs_f64().max(0.001);
    let mut said = json!(verification);
    said["events_per_second"] = json!(rate.round());
    context.print(&said, &text(verification, rate));
}

fn text(verification: &Verification, rate: f64) -> String {
    let (paint, events) = (Paint::stdout(), verification.events);
    let mut lines: Vec<_> =
        verification.faults.iter().map(|fault| format!("{} {fault}", paint.bad("broken"))).collect();
    if verification.given_up {
        lines.push("There is more; verification was given up here.".to_owned());
    }
    if let (true, Some(root)) = (lines.is_empty(), verification.root) {
        lines.push(format!("{} {events} events hold, root {root}", paint.good("verified")));
    }
    for range in &verification.archived {
        let how = if range.read { "read from" } else { "archived, not read: its leaf hashes hold; its events are in" };
        lines.push(format!("positions {} to {}: {how} {}", range.first, range.last, range.file));
    }
    lines.extend(verification.blobs.map(|blobs| format!("{blobs} blobs were read")));
    lines.extend(verification.snapshots.map(|snapshots| format!("{snapshots} snapshots were compared")));
    lines.push(format!("{rate:.0} events/s"));
    lines.join("\n")
}
