//! `xagent migrate`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::serve::Servers;
use super::{CliError, Context};

#[derive(Args)]
pub struct Migrate {
    #[command(flatten)]
    servers: Servers,
}

impl Migrate {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        xagent_ledger::migrate(&self.servers.database(&context.home)?).await?;
        match context.json {
            true => say!("{}", json!({"migrated": true})),
            false => say!("The schema is up to date."),
        }
        Ok(ExitCode::SUCCESS)
    }
}
