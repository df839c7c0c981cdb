//! Where models are that plan runs: the options that `serve` and `up` share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use xagent_commands::{ModelKey, ModelServer, ModelServerError, ModelServerOptions};

use super::CliError;

/// A server that speaks the chat completions protocol.
#[derive(Args)]
pub struct ModelArgs {
    /// The base of an OpenAI-compatible API whose models may plan runs, for example http://127.0.0.1:11434/v1; its key is in
    /// XAGENT_MODEL_KEY or in a file. See docs/planners.md
    #[arg(long, env = "XAGENT_MODEL_URL", value_name = "URL")]
    model_url: Option<String>,
    /// The file that holds the key to it
    #[arg(long, env = "XAGENT_MODEL_KEY_FILE", value_name = "FILE")]
    model_key_file: Option<PathBuf>,
    /// The model of runs that name none
    #[arg(long, env = "XAGENT_MODEL", value_name = "NAME")]
    model: Option<String>,
    /// How long one request to it may take, in seconds
    #[arg(long, env = "XAGENT_MODEL_TIMEOUT_S", default_value_t = 120, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    model_timeout_s: u32,
    /// How long it may be silent in the middle of a reply, in seconds
    #[arg(long, env = "XAGENT_MODEL_SILENCE_S", default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    model_silence_s: u32,
    /// Requests sent for one step at most, where the server is busy or away
    #[arg(long, env = "XAGENT_MODEL_ATTEMPTS", default_value_t = 4, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=20))]
    model_attempts: u32,
}

impl ModelArgs {
    pub fn server(&self) -> Result<Option<ModelServer>, CliError> {
        let Some(url) = self.model_url.clone() else { return Ok(None) };
        let options = ModelServerOptions {
            url,
            key: self.key()?,
            model: self.model.clone(),
            timeout: Duration::from_secs(self.model_timeout_s.into()),
            silence: Duration::from_secs(self.model_silence_s.into()),
            attempts: self.model_attempts,
        };
        let remedy = |error: &ModelServerError| match error {
            ModelServerError::Url(_) => "mend --model-url or XAGENT_MODEL_URL",
            ModelServerError::Key => "mend XAGENT_MODEL_KEY, or the file that --model-key-file names",
            ModelServerError::Client(_) => "report this",
        };
        ModelServer::new(options).map(Some).map_err(|error| CliError::new(error.to_string(), remedy(&error)))
    }

    /// From a file, else from the environment; no key at all is fine.
    fn key(&self) -> Result<Option<ModelKey>, CliError> {
        if let Some(file) = &self.model_key_file {
            let text = std::fs::read_to_string(file).map_err(|error| {
                CliError::new(format!("cannot read {}: {error}", file.display()), "check --model-key-file")
            })?;
            return Ok(Some(ModelKey::new(&text)));
        }
        Ok(std::env::var("XAGENT_MODEL_KEY").ok().map(|text| ModelKey::new(&text)))
    }
}
