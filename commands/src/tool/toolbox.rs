//! The built-in tools at work. Each call comes as a permit, is used up by it, and is bounded in time and size.

use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::{Value, json};
use xagent_domain::run::PathUse;

use super::{fetch, files, search};
use crate::governed::{Allowed, ToolCall};

/// How a tool ended, before it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// Whether it did what it was asked.
    pub succeeded: bool,
    /// What it gave back, or `{"error"}`.
    pub output: Value,
}

impl ToolResult {
    pub(crate) fn of(result: Result<Value, String>) -> Self {
        match result {
            Ok(output) => Self { succeeded: true, output },
            Err(error) => Self { succeeded: false, output: json!({"error": error}) },
        }
    }
}

/// Runs built-in tools.
#[derive(Clone, Debug)]
pub struct ToolBox {
    timeout: Duration,
}

impl ToolBox {
    /// A tool gets `timeout` at most.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout }
    }

    /// Runs the call the permit is for.
    pub async fn run(&self, permit: Allowed<ToolCall>) -> ToolResult {
        let call = permit.into_inner();
        let tool = call.tool.clone();
        match tokio::time::timeout(self.timeout, run(call)).await {
            Ok(result) => ToolResult::of(result),
            Err(_) => ToolResult::of(Err(format!("`{tool}` gave no result in {} s", self.timeout.as_secs()))),
        }
    }
}

async fn run(call: ToolCall) -> Result<Value, String> {
    let arguments = call.arguments.value().map_err(|error| error.to_string())?;
    match call.tool.as_str() {
        "http_fetch" => fetch::http_fetch(call.resources.urls.first()).await,
        "run_code" => Err("this installation has no sandbox to run code in".to_owned()),
        "list_files" | "read_file" | "write_file" | "search_text" => {
            let work = tokio::task::spawn_blocking(move || in_workspace(&call, &arguments));
            work.await.map_err(|error| format!("the tool broke off: {error}"))?
        }
        other => Err(format!("there is no built-in tool `{other}`")),
    }
}

/// The folder is opened once as a capability; nothing below can leave it, not even through a symbolic link.
fn in_workspace(call: &ToolCall, arguments: &Value) -> Result<Value, String> {
    let folder = call.workspace.as_deref().ok_or("this run has no workspace: start it with one")?;
    let workspace = Dir::open_ambient_dir(folder, ambient_authority())
        .map_err(|error| format!("the workspace cannot be opened: {error}"))?;
    let path = decided_path(&call.resources.paths);
    let limit = |most: u64| usize::try_from(arguments["limit"].as_u64().unwrap_or(most).min(most)).unwrap_or(1);
    match call.tool.as_str() {
        "list_files" => files::list(&workspace, path, limit(5000)),
        "read_file" => files::read(&workspace, path),
        "write_file" => files::write(&workspace, path, arguments["content"].as_str().unwrap_or_default()),
        _ => search::search(&workspace, path, arguments["text"].as_str().unwrap_or_default(), limit(1000)),
    }
}

/// The path the law saw, not the one the arguments spell.
fn decided_path(paths: &[PathUse]) -> &str {
    paths.first().map_or(".", |path| path.normal.as_str())
}
