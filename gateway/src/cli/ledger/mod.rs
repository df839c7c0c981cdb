//! `xagent ledger`: what a stranger needs to hold the ledger to its word, fetched from a server and checked without one.

mod check;
mod fetch;
mod proof;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::client::Client;
use super::remote::Remote;
use super::{CliError, Context};

const EXAMPLES: &str = "Examples:
  xagent ledger checkpoint > kept               keep a signed tree outside
  xagent ledger proof 42 > proof.json           prove that event 42 is in the ledger
  xagent ledger proof --receipt answer.json > proof.json
                                                prove all that a command's answer promised
  xagent ledger consistency kept > proof.json   prove that the ledger still holds all it held then
  xagent ledger check proof.json --key 'xagent.local/ledger+1a2b3c4d+AbC...'
                                                check any of these, with no server and no network";

/// Checkpoints and proofs.
#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum LedgerCommand {
    /// Print the size and root of the tree
    Head(Head),
    /// Print a signed checkpoint; with --at-least, one is signed at once where there is none yet
    Checkpoint(fetch::Checkpoint),
    /// List the keys that have signed checkpoints, each with the first one it signed
    Keys(fetch::Keys),
    /// Prove that events are in the ledger: prints a file that `check` reads
    Proof(fetch::Proof),
    /// Prove that the ledger follows on a checkpoint kept earlier: prints a file that `check` reads
    Consistency(fetch::Consistency),
    /// Check a proof against a public key, offline
    Check(check::Check),
}

/// Which server.
#[derive(Args)]
pub struct Door {
    #[command(flatten)]
    remote: Remote,
}

impl Door {
    fn open(self, context: &Context) -> Result<Client, CliError> {
        self.remote.client(context, &["audit:read"])
    }
}

/// `xagent ledger head`.
#[derive(Args)]
pub struct Head {
    #[command(flatten)]
    door: Door,
}

impl LedgerCommand {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        match self {
            Self::Head(head) => head.run(context).await,
            Self::Checkpoint(checkpoint) => checkpoint.run(context).await,
            Self::Keys(keys) => keys.run(context).await,
            Self::Proof(proof) => proof.run(context).await,
            Self::Consistency(consistency) => consistency.run(context).await,
            Self::Check(check) => check.run(context),
        }
    }
}

impl Head {
    async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let head = self.door.open(context)?.get("/v1/ledger/root").await?;
        let root = head["root"].as_str().unwrap_or_default();
        context.print(&head, &format!("{} events, root {root}", head["size"]));
        Ok(ExitCode::SUCCESS)
    }
}
