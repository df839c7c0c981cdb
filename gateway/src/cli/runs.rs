//! `xagent runs`.

use std::process::ExitCode;

use clap::Args;

use super::remote::Remote;
use super::terminal::Paint;
use super::{CliError, Context};

#[derive(Args)]
pub struct Runs {
    #[command(flatten)]
    remote: Remote,
    /// How many at most
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

impl Runs {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let client = self.remote.client(context, &["run:read"])?;
        let page = client.get(&format!("/v1/runs?limit={}", self.limit)).await?;
        if context.json {
            println!("{page}");
            return Ok(ExitCode::SUCCESS);
        }
        let paint = Paint::stdout();
        let runs = page["items"].as_array().cloned().unwrap_or_default();
        if runs.is_empty() {
            println!("There are no runs yet. Start one with `xagent run PLAN`.");
        }
        for run in runs {
            let text = |name: &str| run[name].as_str().unwrap_or_default().to_owned();
            let status = format!("{:<10}", text("status"));
            let status = if status.trim() == "completed" { paint.good(&status) } else { paint.notable(&status) };
            println!(
                "{}  {status}  {:>4} calls, {:>3} denied  {:<12} {}",
                text("run"),
                run["tool_calls"],
                run["denied"],
                text("agent"),
                text("goal").lines().next().unwrap_or_default(),
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
