//! `xagent policy`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use xagent_policies::{Bundle, check};

use super::client::Client;
use super::{CliError, Context};

#[derive(Args)]
pub struct Policy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Compile a folder of Rego modules, look for what is forbidden, and run its tests
    Check {
        /// The folder
        folder: PathBuf,
    },
    /// Write the bundle that comes with this version into a folder, to start from
    Export {
        /// The folder; it must not exist yet
        folder: PathBuf,
    },
    /// Publish a folder as a bundle; published bundles are kept for ever
    Publish {
        /// The folder
        folder: PathBuf,
        /// Let it decide from here on
        #[arg(long)]
        activate: bool,
        /// The server; by default that of `xagent up`
        #[arg(long, env = "XAGENT_URL", value_name = "URL")]
        url: Option<String>,
    },
}

impl Policy {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        match self.action {
            Action::Check { folder } => {
                let bundle = read(&folder)?;
                let checked = check(&bundle).map_err(|error| refused(&error))?;
                let (digest, tests) = (bundle.digest(), checked.tests_passed);
                let text = format!("The bundle {digest} passes: {tests} tests.");
                context.print(&json!({"bundle": digest, "tests_passed": tests}), &text);
            }
            Action::Export { folder } => export(context, &folder)?,
            Action::Publish { folder, activate, url } => publish(context, &folder, activate, url).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn export(context: &Context, folder: &Path) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        CliError::new(format!("{}: {error}", folder.display()), "choose a folder that does not exist yet")
    };
    std::fs::create_dir(folder).map_err(failed)?;
    let stock = Bundle::stock().map_err(|error| refused(&error))?;
    for (path, text) in stock.modules() {
        std::fs::write(folder.join(path), text).map_err(failed)?;
    }
    let data: Value = serde_json::from_str(stock.data()).map_err(|error| refused(&error))?;
    std::fs::write(folder.join("data.json"), format!("{data:#}\n")).map_err(failed)?;
    let text = format!("Wrote {} modules and data.json to {}.", stock.modules().len(), folder.display());
    context.print(&json!({"bundle": stock.digest(), "folder": folder}), &text);
    Ok(())
}

async fn publish(context: &Context, folder: &Path, activate: bool, url: Option<String>) -> Result<(), CliError> {
    let bundle = read(folder)?;
    let data: Value = serde_json::from_str(bundle.data()).map_err(|error| refused(&error))?;
    let client = Client::new(&context.url(url)?, &context.home.secret(None)?, "cli", &["bundle:write"])?;
    let published = client.post("/v1/bundles", &json!({"data": data, "modules": bundle.modules()})).await?;
    let digest = published["bundle"].as_str().unwrap_or_default();
    if activate {
        client.post(&format!("/v1/bundles/{digest}/activate"), &json!({})).await?;
    }
    let state = if activate { "published and activated" } else { "published" };
    let text = format!("The bundle {digest} is {state}: {} tests passed.", published["tests_passed"]);
    context.print(&json!({"bundle": digest, "activated": activate, "tests_passed": published["tests_passed"]}), &text);
    Ok(())
}

fn read(folder: &Path) -> Result<Bundle, CliError> {
    Bundle::from_folder(folder).map_err(|error| refused(&error))
}

fn refused(error: &dyn std::error::Error) -> CliError {
    CliError::new(error.to_string(), "mend the bundle; `xagent policy check FOLDER` tries it without a server")
}

impl Context {
    /// Prints one answer, as JSON or as text.
    pub fn print(&self, value: &Value, text: &str) {
        if self.json { println!("{value}") } else { println!("{text}") }
    }
}
