//! `xagent keys`: api keys, issued, listed, revoked.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::remote::Remote;
use super::terminal::Paint;
use super::{CliError, Context};

#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum KeysCommand {
    /// Issue a key that acts as you, with scopes and roles you have yourself. It is shown once
    Issue(Issue),
    /// List the keys of your tenant
    List(List),
    /// Revoke a key: it is good for nothing from then on, at every server
    Revoke(Revoke),
}

const EXAMPLES: &str = "Examples:
  xagent keys issue --name ci --scope run:start --scope run:read --days 30
  xagent keys list
  xagent keys revoke key_0193... --reason 'it was in a log'

A key is sent as a token is: `Authorization: Bearer xak_...`. See docs/auth.md";

#[derive(Args)]
pub struct Issue {
    /// What you call it
    #[arg(long, value_name = "NAME")]
    name: String,
    /// A scope it grants; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A role it grants; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// How many days it is good
    #[arg(long, default_value_t = 90, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub struct Revoke {
    /// Which key: its id, `key_...`
    #[arg(value_name = "KEY")]
    key: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

impl KeysCommand {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        match self {
            Self::Issue(issue) => issue.run(context).await,
            Self::List(list) => list.run(context).await,
            Self::Revoke(revoke) => revoke.run(context).await,
        }
    }
}

impl Issue {
    async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        // The development token must have what it is to give on.
        let scopes: Vec<&str> = ["api_key:write"].into_iter().chain(self.scopes.iter().map(String::as_str)).collect();
        let client = self.remote.client(context, &scopes)?;
        let lifetime_s = self.days * 24 * 3600;
        let body = json!({"name": self.name, "scopes": self.scopes, "roles": self.roles, "lifetime_s": lifetime_s});
        let issued = client.post("/v1/api-keys", &body).await?;
        if context.json {
            say!("{issued}");
            return Ok(ExitCode::SUCCESS);
        }
        let text = |name: &str| issued[name].as_str().unwrap_or_default().to_owned();
        say!("{}", text("api_key"));
        eprintln!("\nThis is {}, and the only time it is shown. Revoke it with:", Paint::stderr().strong(&text("key")));
        eprintln!("  xagent keys revoke {} --reason TEXT", text("key"));
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let listed = self.remote.client(context, &["api_key:read"])?.get("/v1/api-keys").await?;
        if context.json {
            say!("{listed}");
            return Ok(ExitCode::SUCCESS);
        }
        let keys = listed["items"].as_array().cloned().unwrap_or_default();
        if keys.is_empty() {
            say!("There are no keys yet. Issue one with `xagent keys issue`.");
        }
        keys.iter().for_each(|key| say!("{}", line(key, Paint::stdout())));
        Ok(ExitCode::SUCCESS)
    }
}

fn line(key: &Value, paint: Paint) -> String {
    let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
    let all = |name: &str| -> String {
        let texts = key[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.collect::<Vec<_>>().join(" ")
    };
    let status = format!("{:<8}", text("status"));
    let status = if status.trim() == "active" { paint.good(&status) } else { paint.notable(&status) };
    let until = key["expires_at_us"].as_i64().and_then(chrono::DateTime::from_timestamp_micros);
    let until = until.map(|at| at.format("%Y-%m-%d").to_string()).unwrap_or_default();
    format!(
        "{}  {status}  until {until}  {:<12}  {:<16}  {} {}",
        text("key"),
        text("principal"),
        text("name"),
        all("scopes"),
        all("roles")
    )
    .trim_end()
    .to_owned()
}

impl Revoke {
    async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        if !self.key.starts_with("key_") {
            // What begins otherwise may be the key itself, and is not repeated.
            let remedy = "`xagent keys list` shows them";
            return Err(CliError::new("that is no id of a key: it begins with `key_`", remedy));
        }
        let client = self.remote.client(context, &["api_key:write"])?;
        let done = client.post(&format!("/v1/api-keys/{}/revoke", self.key), &json!({"reason": self.reason})).await?;
        match context.json {
            true => say!("{done}"),
            false => say!("{} is revoked.", self.key),
        }
        Ok(ExitCode::SUCCESS)
    }
}
