//! Errors of the command line: what went wrong, and what to do next.

use std::process::ExitCode;

use serde_json::json;

/// An error with its remedy.
#[derive(Debug)]
pub struct CliError {
    message: String,
    remedy: String,
}

impl CliError {
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }

    /// Prints it to standard error; the exit code says that the command could not be carried out.
    pub fn report(&self, as_json: bool) -> ExitCode {
        if as_json {
            eprintln!("{}", json!({"error": self.message, "remedy": self.remedy}));
        } else {
            eprintln!("error: {}\n  {}", self.message, self.remedy);
        }
        ExitCode::from(2)
    }
}

impl From<xagent_ledger::LedgerError> for CliError {
    fn from(error: xagent_ledger::LedgerError) -> Self {
        use xagent_ledger::LedgerError;
        let remedy = match &error {
            LedgerError::Archive { .. } => "`xagent archive list` shows what is archived, and what is here",
            LedgerError::Archived { .. } => "`xagent archive attach FILE` brings it back",
            _ => "is Postgres up, and was `xagent migrate` run? See XAGENT_DATABASE_URL",
        };
        Self::new(error.to_string(), remedy)
    }
}
