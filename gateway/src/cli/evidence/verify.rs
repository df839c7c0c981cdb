//! `xagent evidence verify`: no server, no network, no folder; a file and a public key.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use xagent_policies::Bulk;
use xagent_replay::evidence::{LARGEST, examine};
use xagent_tree::{Checkpoint, Verifier};

use super::told::told;
use crate::cli::replay::LIMITS;
use crate::cli::terminal::Paint;
use crate::cli::{CliError, Context};

#[derive(Args)]
#[command(
    after_help = "Exit code: 0 all of it holds, 1 what does not is printed, 2 it could not be examined.\nTake the key from where the log's owner published it, never from where the file comes from.\nWhat is proven and what is not: docs/evidence.md."
)]
pub struct Verify {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A key you trust, NAME+HASH+KEY; may be repeated
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<Verifier>,
    /// A checkpoint you kept: the file must prove that it follows on it
    #[arg(long, value_name = "KEPT")]
    checkpoint: Option<PathBuf>,
}

impl Verify {
    pub fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let kept = self.checkpoint.as_deref().map(|path| self.kept(path)).transpose()?;
        let bytes = read(&self.file)?;
        let verdict = examine(&bytes, &self.keys, kept.as_ref(), &Bulk::exact(LIMITS));
        context.print(&json!(verdict), &told(&verdict, Paint::stdout()));
        Ok(if verdict.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn kept(&self, path: &Path) -> Result<Checkpoint, CliError> {
        let note = std::fs::read_to_string(path).map_err(|error| wrong(path, &error.to_string()))?;
        Checkpoint::open_any(&note, &self.keys).map_err(|error| wrong(path, &error.to_string()))
    }
}

/// One byte more than there may be, so that what is too large is seen to be.
fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(path, &error.to_string()))?;
    let read = file.take(LARGEST as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| wrong(path, &error.to_string()))?;
    Ok(bytes)
}

fn wrong(path: &Path, message: &str) -> CliError {
    CliError::new(format!("{}: {message}", path.display()), "check path and key, and that the file is whole")
}
