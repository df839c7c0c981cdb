//! `xagent runs show`.

use std::process::ExitCode;

use clap::Args;
use xagent_domain::RunId;
use xagent_domain::run::Run;

use super::super::remote::Remote;
use super::{CliError, Context, SCOPES, told};

#[derive(Args)]
#[command(after_help = "Examples:
  xagent runs show run_0193...             as it is now
  xagent runs show run_0193... --at 12     as it was after its 12th event
  xagent --json runs show run_0193... --at 12")]
pub struct Show {
    /// The run
    #[arg(value_name = "RUN")]
    run: RunId,
    /// As of this sequence
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    at: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

impl Show {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let client = self.remote.client(context, &SCOPES)?;
        let at = self.at.map(|at| format!("?at={at}")).unwrap_or_default();
        let mut shown = client.get(&format!("/v1/runs/{}{at}", self.run)).await?;
        if context.json {
            say!("{shown}");
            return Ok(ExitCode::SUCCESS);
        }
        let sequence = shown["sequence"].as_u64().unwrap_or_default();
        if let Some(at) = self.at.filter(|at| *at > sequence) {
            let remedy = format!("name a sequence from 1 to {sequence}");
            return Err(CliError::new(format!("{} has no event {at}", self.run), remedy));
        }
        let state: Run = serde_json::from_value(shown["state"].take())
            .map_err(|error| CliError::new(format!("the state cannot be read: {error}"), "update this xagent"))?;
        say!("{} after event {sequence}", self.run);
        say!("{}", told::state(&state).join("\n"));
        Ok(ExitCode::SUCCESS)
    }
}
