//! What built-in tools are configured with: the option that `serve`, `up` and `sandbox` share.

use std::path::PathBuf;

use clap::Args;
use xagent_commands::ToolSettings;

use super::CliError;

#[derive(Args)]
pub struct ToolsFile {
    /// Secrets, headers, databases and limits of the built-in tools, in TOML; see docs/tools.md
    #[arg(long, env = "XAGENT_TOOLS_FILE", value_name = "FILE")]
    tools_file: Option<PathBuf>,
}

impl ToolsFile {
    pub fn settings(&self) -> Result<ToolSettings, CliError> {
        let Some(path) = &self.tools_file else { return Ok(ToolSettings::default()) };
        let failed = |message: String| CliError::new(format!("{}: {message}", path.display()), "see docs/tools.md");
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        ToolSettings::parse(&text).map_err(|error| failed(error.to_string()))
    }
}
