//! `xagent policy publish`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::At;
use super::source::files;
use crate::cli::{CliError, Context};

#[derive(Args)]
#[command(
    after_help = "The server checks what it is sent as `xagent policy check` does, its signature too.\n\nExamples:\n  \
    xagent policy publish my-policies\n  xagent policy publish bundle.tar.gz --activate"
)]
pub struct Publish {
    /// A folder, or an OPA bundle (.tar.gz)
    source: PathBuf,
    /// Let it decide from here on
    #[arg(long)]
    activate: bool,
    #[command(flatten)]
    at: At,
}

impl Publish {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let unfit = |error: xagent_policies::BundleError| {
            CliError::new(error.to_string(), "mend the bundle; `xagent policy check` tries it without a server")
        };
        // An archive is sent as it is: its signature is over its files, not over what was packed anew.
        let bytes = match self.source.is_dir() {
            true => files(&self.source)?.pack().map_err(unfit)?,
            false => std::fs::read(&self.source).map_err(|error| {
                CliError::new(
                    format!("{}: {error}", self.source.display()),
                    "name a folder, or a .tar.gz of `opa build`",
                )
            })?,
        };
        let client = self.at.lawmaker(context)?;
        let mut published = client.post_archive("/v1/bundles", bytes).await?;
        let digest = published["bundle"].as_str().unwrap_or_default().to_owned();
        if self.activate {
            client.post(&format!("/v1/bundles/{digest}/activate"), &json!({})).await?;
        }
        let state = if self.activate { "published and activated" } else { "published" };
        let text = format!("The bundle {digest} is {state}: {} tests passed.", published["tests_passed"]);
        published["activated"] = self.activate.into();
        context.print(&published, &text);
        Ok(ExitCode::SUCCESS)
    }
}
