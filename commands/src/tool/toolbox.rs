//! The built-in tools at work. Each call comes as a permit, is used up by it, and is bounded in time and size.

use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::{Value, json};
use xagent_domain::run::PathUse;

use super::search::Sought;
use super::{Toolkit, fetch, files, search, sql};
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
#[derive(Clone)]
pub struct ToolBox {
    timeout: Duration,
    kit: Toolkit,
}

impl ToolBox {
    /// A tool gets `timeout` at most.
    pub fn new(timeout: Duration, kit: Toolkit) -> Self {
        Self { timeout, kit }
    }

    /// Runs the call the permit is for.
    pub async fn run(&self, permit: Allowed<ToolCall>) -> ToolResult {
        let call = permit.into_inner();
        let tool = call.tool.clone();
        match tokio::time::timeout(self.timeout, self.dispatch(call)).await {
            Ok(result) => result,
            Err(_) => ToolResult::of(Err(format!("`{tool}` gave no result in {} s", self.timeout.as_secs()))),
        }
    }

    async fn dispatch(&self, call: ToolCall) -> ToolResult {
        let arguments = match call.arguments.value() {
            Ok(arguments) => arguments,
            Err(error) => return ToolResult::of(Err(error.to_string())),
        };
        match call.tool.as_str() {
            "http_fetch" => ToolResult::of(fetch::http_fetch(&self.kit, call.resources.urls.first()).await),
            "run_code" => self.kit.code().run(call, arguments, self.timeout).await,
            "sql_query" => ToolResult::of(sql::sql_query(&self.kit, &arguments).await),
            "list_files" | "read_file" | "write_file" | "search_text" => {
                let work = tokio::task::spawn_blocking(move || in_workspace(&call, &arguments));
                ToolResult::of(work.await.unwrap_or_else(|error| Err(format!("the tool broke off: {error}"))))
            }
            other => ToolResult::of(Err(format!("there is no built-in tool `{other}`"))),
        }
    }

    /// A result, of whatever tool, without the values of secrets: only so is one recorded.
    pub(crate) async fn redacted(&self, result: ToolResult) -> ToolResult {
        match self.kit.redacted(result.output).await {
            Ok(output) => ToolResult { output, ..result },
            Err(error) => ToolResult::of(Err(error)),
        }
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
        "write_file" => files::write(&workspace, path, arguments["content"].as_str().unwrap_or_default().as_bytes()),
        _ => search::search(&workspace, path, &Sought::of(arguments)?, limit(1000)),
    }
}

/// The path the law saw, not the one the arguments spell.
fn decided_path(paths: &[PathUse]) -> &str {
    paths.first().map_or(".", |path| path.normal.as_str())
}
