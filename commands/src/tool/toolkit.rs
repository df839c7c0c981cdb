//! What the built-in tools work with.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use xagent_sandbox::{Limits, Sandbox, SandboxError};

use super::code::CodeRoom;
use super::secrets::Secrets;
use super::settings::{Database, Origin, ToolSettings};

/// Secrets, headers, databases and the sandbox. Cheap to clone.
#[derive(Clone)]
pub struct Toolkit(Arc<Parts>);

struct Parts {
    secrets: Secrets,
    http: BTreeMap<String, Origin>,
    databases: BTreeMap<String, Database>,
    code: CodeRoom,
}

impl Toolkit {
    /// By settings, with the sandbox of this host or why there is none.
    pub fn new(settings: ToolSettings, sandbox: Result<Arc<dyn Sandbox>, SandboxError>) -> Self {
        let ToolSettings { secrets, http, databases, run_code } = settings;
        let code = CodeRoom::new(sandbox, &run_code);
        Self(Arc::new(Parts { secrets: Secrets::new(secrets), http, databases, code }))
    }

    /// The sandbox, or why there is none.
    pub fn sandbox(&self) -> Result<&Arc<dyn Sandbox>, String> {
        self.0.code.sandbox()
    }

    /// The limits of code.
    pub fn limits(&self) -> &Limits {
        self.0.code.limits()
    }

    /// Why a tool cannot do anything here, where that is known.
    pub fn unavailable(&self, tool: &str) -> Option<String> {
        match tool {
            "run_code" => self.sandbox().err(),
            "sql_query" if self.0.databases.is_empty() => Some("no database is configured".to_owned()),
            _ => None,
        }
    }

    /// The secrets of tools.
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    pub(super) fn http(&self) -> &BTreeMap<String, Origin> {
        &self.0.http
    }

    pub(super) fn databases(&self) -> &BTreeMap<String, Database> {
        &self.0.databases
    }

    pub(super) fn code(&self) -> &CodeRoom {
        &self.0.code
    }

    /// Takes the values of secrets out of what a tool gave back.
    pub(crate) async fn redacted(&self, mut output: Value) -> Result<Value, String> {
        let kit = self.clone();
        let redact = tokio::task::spawn_blocking(move || {
            kit.0.secrets.redactor().redact(&mut output);
            output
        });
        redact.await.map_err(|_| "what it gave back could not be searched for secrets".to_owned())
    }
}
