//! Errors of the command line: what went wrong, and what to do next.

use std::io::IsTerminal;
use std::process::ExitCode;

use serde_json::json;
use xagent_policies::Finding;

use super::policy::findings_told;
use super::terminal::Paint;

/// An error with its remedy.
#[derive(Debug)]
pub struct CliError {
    message: String,
    remedy: String,
    /// What is in a bundle's way.
    findings: Vec<Finding>,
    /// Whether the same may go well a little later.
    passes: bool,
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl CliError {
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into(), findings: Vec::new(), passes: false }
    }

    /// With all that is in a bundle's way.
    #[must_use]
    pub fn with_findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }

    /// One that may go well a little later.
    #[must_use]
    pub fn passing(self) -> Self {
        Self { passes: true, ..self }
    }

    /// Whether it may go well a little later.
    pub fn may_pass(&self) -> bool {
        self.passes
    }

    /// Prints it to standard error; the exit code says that the command could not be carried out.
    pub fn report(&self, as_json: bool) -> ExitCode {
        if as_json {
            let mut said = json!({"error": self.message, "remedy": self.remedy});
            if !self.findings.is_empty() {
                said["findings"] = json!(self.findings);
            }
            eprintln!("{said}");
        } else {
            if !self.findings.is_empty() {
                eprintln!("{}\n", findings_told(&self.findings, Paint::stderr(), std::io::stderr().is_terminal()));
            }
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
