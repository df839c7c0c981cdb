//! `xagent sandbox`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use xagent_commands::Toolkit;

use super::terminal::Paint;
use super::tools_file::ToolsFile;
use super::{CliError, Context};
use crate::server::detected;

#[derive(Args)]
#[command(after_help = "Exit status 1 where this host cannot isolate code: `run_code` is refused here then.

Examples:
  xagent sandbox
  xagent --json sandbox --tools-file tools.toml")]
pub struct Sandbox {
    #[command(flatten)]
    tools_file: ToolsFile,
}

impl Sandbox {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let kit = Toolkit::new(self.tools_file.settings()?, detected().await);
        let (paint, limits) = (Paint::stdout(), kit.limits());
        let sandbox = match kit.sandbox() {
            Ok(sandbox) => sandbox.isolation(),
            Err(reason) => {
                let text = format!("{} {reason}", paint.bad("No code is run here:"));
                context.print(&json!({"available": false, "reason": reason}), &text);
                return Ok(ExitCode::FAILURE);
            }
        };
        let languages: Vec<_> = sandbox.languages.iter().map(|(name, path)| format!("{name} ({path})")).collect();
        let text = format!(
            "{} by {}; every attempt to break out failed\n  layers     {}\n  languages  {}\n  limits     {} s, {} s of \
             processor time, {} MiB of memory, {} processes, {} MiB of files, {} KiB of each output",
            paint.good("Code is isolated here"),
            sandbox.by,
            sandbox.layers.join("; "),
            languages.join(", "),
            limits.wall_ms / 1000,
            limits.cpu_ms / 1000,
            limits.memory >> 20,
            limits.processes,
            limits.disk >> 20,
            limits.output >> 10,
        );
        context.print(&json!({"available": true, "isolation": sandbox, "limits": limits}), &text);
        Ok(ExitCode::SUCCESS)
    }
}
