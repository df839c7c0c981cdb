//! `xagent runs diff`.

use std::process::ExitCode;

use clap::Args;
use xagent_domain::RunId;
use xagent_replay::Change;

use super::super::remote::Remote;
use super::super::terminal::Paint;
use super::{CliError, Context, SCOPES, told};

#[derive(Args)]
#[command(after_help = "Examples:
  xagent runs diff run_0193... 12 20     forwards
  xagent runs diff run_0193... 20 12     backwards
  xagent runs diff run_0193... 0 1       what the first event made
  xagent --json runs diff run_0193... 12 20     as a JSON Patch (RFC 6902)")]
pub struct Diff {
    /// The run
    #[arg(value_name = "RUN")]
    run: RunId,
    /// The sequence of the state before
    #[arg(value_name = "FROM")]
    from: u64,
    /// The sequence of the state after
    #[arg(value_name = "TO")]
    to: u64,
    #[command(flatten)]
    remote: Remote,
}

impl Diff {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let client = self.remote.client(context, &SCOPES)?;
        let mut found = client.get(&format!("/v1/runs/{}/diff?from={}&to={}", self.run, self.from, self.to)).await?;
        if context.json {
            say!("{found}");
            return Ok(ExitCode::SUCCESS);
        }
        let changes: Vec<Change> = serde_json::from_value(found["changes"].take())
            .map_err(|error| CliError::new(format!("the changes cannot be read: {error}"), "update this xagent"))?;
        if changes.is_empty() {
            say!("Nothing changed.");
        }
        let paint = Paint::stdout();
        for change in &changes {
            let line = told::change(change);
            say!(
                "{}",
                match change {
                    Change::Add { .. } => paint.good(&line),
                    Change::Remove { .. } => paint.bad(&line),
                    Change::Replace { .. } => paint.notable(&line),
                }
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
