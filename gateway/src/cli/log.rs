//! How the ledger's tree is signed: the log's name, the key in force, the keys before it, and where checkpoints go.

use std::path::PathBuf;

use clap::Args;
use xagent_projections::Place;
use xagent_tree::Signer;

use super::{CliError, Home};
use crate::configuration::Signing;

/// How the ledger's tree is signed.
#[derive(Args, Clone)]
pub struct Log {
    /// The name of the log in its checkpoints, best a URL without its scheme
    #[arg(long, env = "XAGENT_LOG_NAME", default_value = "xagent.local/ledger", value_name = "NAME")]
    log_name: String,
    /// The file that holds the key checkpoints are signed with, 64 hex digits; XAGENT_CHECKPOINT_KEY may hold the key itself
    #[arg(long, env = "XAGENT_CHECKPOINT_KEY_FILE", value_name = "FILE")]
    checkpoint_key_file: Option<PathBuf>,
    /// The file of a key that signed before: it signs the first checkpoint of the new key too, so that who trusts the old
    /// one learns of the new one; may be repeated
    #[arg(long = "checkpoint-old-key-file", env = "XAGENT_CHECKPOINT_OLD_KEY_FILE", value_delimiter = ':')]
    #[arg(value_name = "FILE")]
    old_key_files: Vec<PathBuf>,
    /// A folder or URL outside, to which the latest checkpoint is written about every second: DIR/checkpoint, and for good
    /// the first of each hour and of each key. A URL must answer GET and PUT
    #[arg(long, env = "XAGENT_CHECKPOINT_MIRROR", hide_env_values = true, value_name = "DIR|URL")]
    checkpoint_mirror: Option<String>,
}

impl Log {
    /// The keys, the one in force made where there is none yet.
    pub fn signing(&self, home: &Home) -> Result<Signing, CliError> {
        let key = home.log_key(self.checkpoint_key_file.as_deref())?;
        let signer = self.signer(&key.seed)?;
        if let Some(path) = key.made {
            eprintln!(
                "warning: made the key that signs checkpoints of the ledger: {}\n  \
                 Keep a copy of that file where only you can read it; never show it.\n  \
                 Its public half is {}\n  \
                 Keep that outside, today: it tells true checkpoints from forged ones, and nobody can sign with it.",
                path.display(),
                signer.verifier()
            );
        }
        let old = self.old_key_files.iter().map(|file| self.signer(&home.log_key(Some(file))?.seed));
        Ok(Signing { signer, old: old.collect::<Result<_, _>>()? })
    }

    /// Where checkpoints go. Parsed here, for an error of the parser would show the password of a URL.
    pub fn mirror(&self) -> Result<Option<Place>, CliError> {
        let place = self.checkpoint_mirror.as_deref().map(str::parse::<Place>).transpose();
        place.map_err(|error| CliError::new(error.to_string(), "mend --checkpoint-mirror"))
    }

    fn signer(&self, seed: &[u8; 32]) -> Result<Signer, CliError> {
        Signer::new(&self.log_name, seed).map_err(|error| CliError::new(error.to_string(), "mend --log-name"))
    }
}
