//! `xagent policy activate`, `rollback` and `retire`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use xagent_domain::Digest;

use super::At;
use crate::cli::{CliError, Context};

#[derive(Args)]
#[command(after_help = "Example:\n  xagent policy activate 3f0c...     `xagent policy list` shows the digests")]
pub struct Activate {
    /// The bundle's digest
    bundle: Digest,
    #[command(flatten)]
    at: At,
}

impl Activate {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let path = format!("/v1/bundles/{}/activate", self.bundle);
        let activated = self.at.lawmaker(context)?.post(&path, &json!({})).await?;
        context.print(&activated, &format!("The bundle {} decides from here on.", self.bundle));
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
#[command(after_help = "Examples:\n  xagent policy rollback\n  \
    xagent policy rollback --to 3f0c...     refused where another bundle was active before by now")]
pub struct RollBack {
    /// The bundle that was active before, as you saw it
    #[arg(long, value_name = "DIGEST")]
    to: Option<Digest>,
    #[command(flatten)]
    at: At,
}

impl RollBack {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let activated = self.at.lawmaker(context)?.post("/v1/bundles/rollback", &json!({"to": self.to})).await?;
        let digest = |name: &str| activated[name].as_str().unwrap_or_default().to_owned();
        let text = format!("The bundle {} decides again, in place of {}.", digest("bundle"), digest("previous"));
        context.print(&activated, &text);
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
#[command(after_help = "Example:\n  xagent policy retire 3f0c... --reason \"it let writes through without approval\"")]
pub struct Retire {
    /// The bundle's digest; the active one cannot be retired
    bundle: Digest,
    /// Why; it is recorded, and shown to whoever tries to activate the bundle
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    at: At,
}

impl Retire {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let path = format!("/v1/bundles/{}/retire", self.bundle);
        let retired = self.at.lawmaker(context)?.post(&path, &json!({"reason": self.reason})).await?;
        let text = format!("The bundle {} never decides again; what it decided stays decidable.", self.bundle);
        context.print(&retired, &text);
        Ok(ExitCode::SUCCESS)
    }
}
