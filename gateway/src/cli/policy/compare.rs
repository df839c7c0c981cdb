//! `xagent policy diff`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use xagent_policies::diff;

use super::At;
use super::source::any;
use super::told::diff_told;
use crate::cli::terminal::Paint;
use crate::cli::{CliError, Context};

#[derive(Args)]
#[command(after_help = "Folders and archives are compared without a server.\n\nExamples:\n  \
    xagent policy diff stock my-policies\n  xagent policy diff 3f0c... bundle.tar.gz     from what is published to what is not")]
pub struct Diff {
    /// What was: a folder, an OPA bundle (.tar.gz), the digest of a published bundle, or `stock`
    before: String,
    /// What is
    after: String,
    #[command(flatten)]
    at: At,
}

impl Diff {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let before = any(context, &self.at, &self.before).await?;
        let after = any(context, &self.at, &self.after).await?;
        let diff = diff(&before, &after);
        let json = json!({
            "before": before.digest(), "after": after.digest(), "modules": diff.modules, "data": diff.data,
        });
        context.print(&json, &diff_told(&diff, Paint::stdout()));
        Ok(ExitCode::SUCCESS)
    }
}
