//! `xagent evidence export`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use xagent_commands::SystemClock;
use xagent_domain::{Digest, Tenant};
use xagent_ledger::{Ledger, LedgerOptions, StoredCheckpoint};
use xagent_replay::evidence::LARGEST;

use crate::cli::serve::Servers;
use crate::cli::{CliError, Context};
use crate::evidence::{EvidenceError, Wanted, export};

/// How long a checkpoint of what is recorded by now is waited for; a server signs one about every second.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args)]
#[command(
    after_help = "A range, and what --tail adds, holds events of every tenant: look at who is given the file.\nThe file holds payloads; it is written for its owner's eyes only."
)]
pub struct Export {
    /// The file; it must not exist yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A run; may be repeated
    #[arg(long = "run", value_name = "RUN", required_unless_present = "first")]
    runs: Vec<String>,
    /// The tenant of the runs
    #[arg(long, default_value = "default")]
    tenant: Tenant,
    /// Take along every event from the runs' first one to the checkpoint, so that none of theirs can be missing
    #[arg(long, requires = "runs", conflicts_with = "first")]
    tail: bool,
    /// The first position of a range
    #[arg(long, value_name = "POSITION", conflicts_with = "runs")]
    first: Option<u64>,
    /// Its last position; up to the checkpoint where none is given
    #[arg(long, value_name = "POSITION", requires = "first")]
    last: Option<u64>,
    /// A checkpoint kept earlier, which the file then proves to follow on
    #[arg(long, value_name = "KEPT")]
    since: Option<PathBuf>,
    #[command(flatten)]
    servers: Servers,
}

impl Export {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let database = self.servers.database(&context.home)?;
        let ledger = Ledger::connect(&database, Arc::new(SystemClock), LedgerOptions::default())?;
        let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(|error| wrong(path, &error.to_string()));
        let since = self.since.as_ref().map(read).transpose()?;
        let checkpoint = checkpoint(&ledger).await?;
        let (size, key) = (checkpoint.size, checkpoint.verifier.clone());
        let runs = self.runs.into_iter().map(|run| (self.tenant.clone(), run)).collect();
        let range = self.first.map(|first| (first, self.last));
        let wanted = Wanted { runs, range, tail: self.tail, since };
        let bytes = export(&ledger, checkpoint, wanted, LARGEST).await.map_err(refused)?;
        write(&self.file, &bytes).map_err(|error| wrong(&self.file, &error.to_string()))?;
        let (file, digest) = (self.file.display(), Digest::of(&bytes));
        let said = json!({"file": file.to_string(), "bytes": bytes.len(), "sha256": digest, "tree_size": size, "verifier": key});
        let text = format!(
            "exported {file}: {} bytes, SHA-256 {digest}, up to position {size}\n  xagent evidence verify {file} --key {key}",
            bytes.len()
        );
        context.print(&said, &text);
        Ok(ExitCode::SUCCESS)
    }
}

/// The latest checkpoint, given a moment to reach what is recorded by now.
async fn checkpoint(ledger: &Ledger) -> Result<StoredCheckpoint, CliError> {
    let (head, deadline) = (ledger.head().await?.position, Instant::now() + PATIENCE);
    let mut look = tokio::time::interval(Duration::from_millis(100));
    loop {
        look.tick().await;
        let latest = ledger.latest_checkpoint().await?;
        match latest {
            Some(latest) if latest.size >= head => return Ok(latest),
            Some(latest) if Instant::now() > deadline => {
                eprintln!(
                    "The latest signed checkpoint is of {} of {head} events: later ones are not taken.",
                    latest.size
                );
                return Ok(latest);
            }
            None if Instant::now() > deadline => {
                return Err(CliError::new("no checkpoint is signed yet", "start a server, which signs them"));
            }
            _ => {}
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn refused(error: EvidenceError) -> CliError {
    let remedy = match &error {
        EvidenceError::Ledger(_) => "is Postgres up? `xagent verify` says what of the ledger does not hold",
        EvidenceError::NoRun { .. } => "list runs with `xagent runs`; a server signs new events within about a second",
        EvidenceError::NoRange { .. } => "`xagent ledger head` says how many events there are",
        EvidenceError::TooLarge(_) => "export fewer runs or a smaller range at a time",
        EvidenceError::Since(_) => "give a checkpoint as `xagent ledger checkpoint` printed it",
        EvidenceError::Incomplete(_) => "`xagent verify --blobs` says what does not hold",
    };
    CliError::new(error.to_string(), remedy)
}

fn wrong(path: &Path, message: &str) -> CliError {
    CliError::new(format!("{}: {message}", path.display()), "check the path; a file that is there is not written over")
}
