//! `xagent token`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use xagent_domain::Tenant;

use super::client::development_token;
use super::{CliError, Context};
use crate::access::Grant;

#[derive(Args)]
#[command(
    after_help = "Example:\n  curl -H \"Authorization: Bearer $(xagent token --subject alice --scope run:read)\" $URL/v1/runs"
)]
pub struct Token {
    /// Who the token is for
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// A scope it grants; may be repeated. `*` grants every scope
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A role it grants; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The tenant
    #[arg(long, default_value = "default")]
    tenant: Tenant,
    /// How long it is valid, in seconds
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    lifetime: i64,
    /// The file that holds the secret
    #[arg(long, env = "XAGENT_JWT_SECRET_FILE", value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl Token {
    pub fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let secret = context.home.secret(self.secret_file.as_deref())?;
        let token = development_token(
            &secret,
            &Grant {
                subject: self.subject,
                tenant: self.tenant,
                scopes: self.scopes.into_iter().collect(),
                roles: self.roles.into_iter().collect(),
                lifetime_s: self.lifetime,
            },
        )?;
        match context.json {
            true => say!("{}", json!({"token": token, "lifetime_s": self.lifetime})),
            false => say!("{token}"),
        }
        Ok(ExitCode::SUCCESS)
    }
}
