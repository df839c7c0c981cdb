//! Where bundles come from on the command line, and where they go.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use xagent_domain::Digest;
use xagent_policies::{Bundle, Files, Trust};

use super::At;
use crate::cli::{CliError, Context};

/// A folder, or an OPA bundle.
pub fn files(source: &Path) -> Result<Files, CliError> {
    let read = match source.is_dir() {
        true => Files::from_folder(source),
        false => {
            let missing = |error: std::io::Error| {
                CliError::new(format!("{}: {error}", source.display()), "name a folder, or a .tar.gz of `opa build`")
            };
            Files::from_archive(&std::fs::read(source).map_err(missing)?)
        }
    };
    read.map_err(|error| unfit(source, &error))
}

pub fn bundle(source: &Path, trust: &Trust) -> Result<Bundle, CliError> {
    files(source)?.bundle(trust).map_err(|error| unfit(source, &error))
}

fn unfit(source: &Path, error: &dyn std::error::Error) -> CliError {
    CliError::new(format!("{}: {error}", source.display()), "mend the bundle; `xagent policy check` tries it")
}

/// A folder, an archive, the digest of a published bundle, or `stock`: the bundle that comes with this version.
pub async fn any(context: &Context, at: &At, source: &str) -> Result<Bundle, CliError> {
    if source == "stock" {
        return Bundle::stock().map_err(|error| CliError::new(error.to_string(), "report this"));
    }
    let Ok(digest) = source.parse::<Digest>() else { return bundle(Path::new(source), &Trust::Unchecked) };
    let shown = at.reader(context)?.get(&format!("/v1/bundles/{digest}")).await?;
    let foreign = |error: String| CliError::new(format!("the server's answer: {error}"), "is it of this version?");
    let modules = serde_json::from_value(shown["content"]["modules"].clone()).map_err(|e| foreign(e.to_string()))?;
    let bundle = Bundle::from_parts(modules, &shown["content"]["data"].to_string());
    let bundle = bundle.map_err(|error| foreign(error.to_string()))?;
    match bundle.digest() == digest {
        true => Ok(bundle),
        false => Err(foreign(format!("it holds the bundle {}, not {digest}", bundle.digest()))),
    }
}

#[derive(Args)]
pub struct Export {
    /// The folder; it must not exist yet
    folder: PathBuf,
}

impl Export {
    pub fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let folder = &self.folder;
        let failed = |error: std::io::Error| {
            CliError::new(format!("{}: {error}", folder.display()), "choose a folder that does not exist yet")
        };
        std::fs::create_dir(folder).map_err(failed)?;
        let stock = Bundle::stock().map_err(|error| CliError::new(error.to_string(), "report this"))?;
        for (path, text) in stock.modules() {
            std::fs::write(folder.join(path), text).map_err(failed)?;
        }
        let data: Value =
            serde_json::from_str(stock.data()).map_err(|e| CliError::new(e.to_string(), "report this"))?;
        std::fs::write(folder.join("data.json"), format!("{data:#}\n")).map_err(failed)?;
        let text = format!("Wrote {} modules and data.json to {}.", stock.modules().len(), folder.display());
        context.print(&json!({"bundle": stock.digest(), "folder": folder}), &text);
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub struct Pack {
    /// The folder
    folder: PathBuf,
    /// The archive to write
    #[arg(long, short, default_value = "bundle.tar.gz", value_name = "FILE")]
    output: PathBuf,
}

impl Pack {
    pub fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let files = files(&self.folder)?;
        let digest = files.bundle(&Trust::Unchecked).map_err(|error| unfit(&self.folder, &error))?.digest();
        let bytes = files.pack().map_err(|error| unfit(&self.folder, &error))?;
        let failed = |error: std::io::Error| {
            CliError::new(format!("{}: {error}", self.output.display()), "choose another file with --output")
        };
        std::fs::write(&self.output, &bytes).map_err(failed)?;
        let text = format!("Wrote the bundle {digest} to {}: {} bytes.", self.output.display(), bytes.len());
        context.print(&json!({"bundle": digest, "file": self.output, "bytes": bytes.len()}), &text);
        Ok(ExitCode::SUCCESS)
    }
}
