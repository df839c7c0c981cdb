//! Which server a command talks to, and as whom: by flags, by environment, by a profile, or the private instance.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Context;
use super::client::{Client, client_token};
use super::error::CliError;
use super::settings::Profile;

/// A longer token is not one, in bytes.
const LONGEST_TOKEN: usize = 8 * 1024;

/// The options of every command that talks to a server.
#[derive(Args, Clone, Default)]
pub struct Remote {
    /// The server; otherwise that of the profile, or of `xagent up`
    #[arg(long, env = "XAGENT_URL", value_name = "URL", help_heading = "Server")]
    url: Option<String>,
    /// The file that holds the token to send; XAGENT_TOKEN may hold the token itself
    #[arg(long, env = "XAGENT_TOKEN_FILE", value_name = "FILE", help_heading = "Server")]
    token_file: Option<PathBuf>,
    /// Certificates (PEM) to trust beside the usual ones
    #[arg(long, env = "XAGENT_CA_FILE", value_name = "FILE", help_heading = "Server")]
    ca_file: Option<PathBuf>,
}

impl Remote {
    /// A client; `scopes` are what a token minted with the development secret grants.
    pub fn client(&self, context: &Context, scopes: &[&str]) -> Result<Client, CliError> {
        let profile = self.profile(context)?;
        let url = self.url.clone().or_else(|| profile.map(|profile| profile.url.clone()));
        let url = match url.or_else(|| context.home.connection().map(|connection| connection.url)) {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => return Err(nowhere()),
        };
        let ca_file = self.ca_file.as_deref().or_else(|| profile?.ca_file.as_deref());
        let token = match self.token(profile)? {
            Some(token) => token,
            None => minted(context, scopes)?.ok_or_else(|| nobody(&url))?,
        };
        Client::bearing(&url, token, ca_file)
    }

    /// The profile in force. One that stands for another server than the one named does not count: its token is for its own
    /// server alone.
    fn profile<'a>(&self, context: &'a Context) -> Result<Option<&'a Profile>, CliError> {
        let profile = context.settings.profile(context.profile.as_deref())?;
        match (&self.url, profile) {
            (Some(url), Some(profile)) if *url != profile.url => match context.profile {
                None => Ok(None),
                Some(_) => Err(CliError::new(
                    format!("the profile is of {}, but the server named is {url}", profile.url),
                    "drop one of --profile (XAGENT_PROFILE) and --url (XAGENT_URL)",
                )),
            },
            (_, profile) => Ok(profile),
        }
    }

    fn token(&self, profile: Option<&Profile>) -> Result<Option<String>, CliError> {
        match (&self.token_file, std::env::var("XAGENT_TOKEN").ok(), profile.and_then(|p| p.token_file.as_ref())) {
            (Some(file), _, _) | (None, None, Some(file)) => read_token(file).map(Some),
            (None, Some(token), _) => checked(&token, "XAGENT_TOKEN").map(Some),
            (None, None, None) => Ok(None),
        }
    }
}

/// A token of the development secret, where there is one.
fn minted(context: &Context, scopes: &[&str]) -> Result<Option<String>, CliError> {
    let file = std::env::var_os("XAGENT_JWT_SECRET_FILE").map(PathBuf::from);
    if file.is_none() && !context.home.has_secret() {
        return Ok(None);
    }
    client_token(&context.home.secret(file.as_deref())?, "cli", scopes).map(Some)
}

fn read_token(file: &Path) -> Result<String, CliError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        CliError::new(
            format!("cannot read the token file {}: {error}", file.display()),
            "check the path and its rights",
        )
    })?;
    checked(&text, &file.display().to_string())
}

/// What can stand in a header. It is not repeated in errors.
fn checked(text: &str, place: &str) -> Result<String, CliError> {
    let token = text.trim();
    if token.is_empty() || token.len() > LONGEST_TOKEN || token.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(CliError::new(format!("{place} does not hold a token"), "put the bare token there, nothing else"));
    }
    Ok(token.to_owned())
}

fn nowhere() -> CliError {
    let remedy = "set XAGENT_URL or --url, name a profile (`xagent config --help`), or start one with `xagent up`";
    CliError::new("it is not known where the server is", remedy)
}

fn nobody(url: &str) -> CliError {
    let remedy =
        "set XAGENT_TOKEN or --token-file, name a profile with a token_file, or set XAGENT_JWT_SECRET for development";
    CliError::new(format!("there is no token for {url}"), remedy)
}
