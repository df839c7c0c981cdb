//! `xagent evidence`: recordings in one file, and their examination by whoever has the file and a public key.

mod export;
mod told;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, Context};

const EXAMPLES: &str = "Examples:
  xagent evidence export run.xe --run run_0193...       all of a run, with its policies and proofs
  xagent evidence export run.xe --run run_0193... --tail
                                                        and proof that it has no other event
  xagent evidence export sample.xe --run run_0193... --run run_0194... --since kept
                                                        an auditor's sample, tied to a checkpoint kept earlier
  xagent evidence export range.xe --first 1 --last 5000 every event of a range of positions
  xagent evidence verify run.xe --key NAME+HASH+KEY     examine it, with no server and no network";

/// Evidence files.
#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum EvidenceCommand {
    /// Write runs or a range of the ledger to a file that a stranger can examine
    Export(Box<export::Export>),
    /// Examine a file offline: signed, whole, unchanged, and each decision decided again
    Verify(verify::Verify),
}

impl EvidenceCommand {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        match self {
            Self::Export(export) => export.run(context).await,
            Self::Verify(verify) => verify.run(context),
        }
    }
}
