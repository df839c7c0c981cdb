//! `xagent verify`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use xagent_commands::SystemClock;
use xagent_ledger::{Ledger, LedgerOptions};
use xagent_tree::{Checkpoint, Verifier};

use super::serve::Servers;
use super::terminal::Paint;
use super::{CliError, Context};

#[derive(Args)]
#[command(
    after_help = "Exit code: 0 all of it holds, 1 the first thing that does not is printed, 2 it could not be verified.\nKeep the root it prints: a later verification can show that what was there then is still there (GET /v1/ledger/consistency)."
)]
pub struct Verify {
    #[command(flatten)]
    servers: Servers,
    /// A checkpoint that was kept outside; may be repeated
    #[arg(long = "checkpoint", value_name = "FILE", requires = "keys")]
    checkpoints: Vec<PathBuf>,
    /// A key that may have signed those checkpoints, NAME+HASH+KEY as `xagent ledger keys` shows them; may be repeated
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<Verifier>,
}

impl Verify {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let database = self.servers.database(&context.home)?;
        let ledger = Ledger::connect(&database, Arc::new(SystemClock), LedgerOptions::default())?;
        let progress = progress(ledger.head().await?.position, context.json);
        let verification = ledger.verify(&self.outside()?, |done| progress.set_position(done)).await?;
        progress.finish_and_clear();
        let paint = Paint::stdout();
        let (events, root) = (verification.events, verification.root);
        let text = match &verification.fault {
            None => format!("{} {events} events hold, root {root}", paint.good("verified")),
            Some(fault) => format!("{} {fault}", paint.bad("broken")),
        };
        context.print(&json!(verification), &text);
        Ok(if verification.fault.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Verify {
    fn outside(&self) -> Result<Vec<Checkpoint>, CliError> {
        let read = |path: &PathBuf| {
            let wrong = |message: String| CliError::new(format!("{}: {message}", path.display()), "check file and key");
            let note = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
            Checkpoint::open_any(&note, &self.keys).map_err(|error| wrong(error.to_string()))
        };
        self.checkpoints.iter().map(read).collect()
    }
}

fn progress(events: u64, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} events, {per_sec}, {eta} left");
    ProgressBar::new(events).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
