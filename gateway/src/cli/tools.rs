//! `xagent tools`: what may be called, and the upstream MCP servers that offer some of it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::remote::Remote;
use super::{CliError, Context};

const EXAMPLES: &str = "Examples:
  xagent tools list
  xagent tools declare files --program /usr/bin/node --argument server.js --argument /srv/shared
  xagent tools declare search --mcp-url https://mcp.example.com/mcp --header 'Authorization=secret:SEARCH_TOKEN'
  xagent tools discover files --low read_text_file --low list_directory
  xagent tools discover files --accept read_text_file
  xagent tools upstreams
  xagent tools withdraw files --reason 'no longer needed'";

#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Tools {
    /// List the tools
    List(Server),
    /// List the upstream MCP servers
    Upstreams(Server),
    /// Declare an upstream MCP server, or change its declaration
    Declare(Declare),
    /// Register the tools an upstream offers; what changed is registered only where it is accepted by name
    Discover(Discover),
    /// Withdraw an upstream: none of its tools is called any more
    Withdraw(Withdraw),
}

#[derive(Args)]
pub struct Server {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub struct Declare {
    /// The prefix of the names of its tools: a-z, 0-9 and `-`
    name: String,
    /// The program of a child process; the server must have been started with it as `--upstream-program`
    #[arg(long, value_name = "PATH", required_unless_present = "mcp_url", conflicts_with = "mcp_url")]
    program: Option<String>,
    /// An argument of the program; may be repeated
    #[arg(long = "argument", value_name = "TEXT", allow_hyphen_values = true, requires = "program")]
    arguments: Vec<String>,
    /// A variable of the program's environment, which has no other; `secret:X` is the server's XAGENT_SECRET_X
    #[arg(long = "env", value_name = "NAME=TEXT", requires = "program")]
    environment: Vec<String>,
    /// Where it is, over streamable HTTP
    #[arg(long, value_name = "URL")]
    mcp_url: Option<String>,
    /// A header sent with every request; `secret:X` is the server's XAGENT_SECRET_X
    #[arg(long = "header", value_name = "NAME=TEXT", requires = "mcp_url")]
    headers: Vec<String>,
    /// How many of its tools may be at work at once
    #[arg(long, default_value_t = 4)]
    concurrency: u32,
    /// How long one of its tools may take, in milliseconds
    #[arg(long, default_value_t = 30_000)]
    timeout_ms: u64,
    #[command(flatten)]
    server: Server,
}

#[derive(Args)]
pub struct Discover {
    /// The upstream
    name: String,
    /// A tool, by the upstream's name, that may describe itself otherwise than it was registered; may be repeated
    #[arg(long = "accept", value_name = "TOOL")]
    accept: Vec<String>,
    /// A tool, by the upstream's name, that only reads and may be repeated; of the others it is said that they may do harm
    #[arg(long = "low", value_name = "TOOL")]
    low: Vec<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Args)]
pub struct Withdraw {
    /// The upstream
    name: String,
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    server: Server,
}

impl Tools {
    pub async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        match self {
            Self::List(server) => list(context, server).await,
            Self::Upstreams(server) => upstreams(context, server).await,
            Self::Declare(declare) => declare.run(context).await,
            Self::Discover(discover) => discover.run(context).await,
            Self::Withdraw(withdraw) => {
                let client = withdraw.server.remote.client(context, &["upstream:declare"])?;
                let path = format!("/v1/upstreams/{}/withdraw", withdraw.name);
                let done = client.post(&path, &json!({"reason": withdraw.reason})).await?;
                context.print(&done, &format!("{} is withdrawn: none of its tools is called any more", withdraw.name));
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

async fn list(context: &Context, server: Server) -> Result<ExitCode, CliError> {
    let tools = server.remote.client(context, &["run:read"])?.get("/v1/tools").await?;
    let line = |tool: &Value| {
        let text = |name: &str| tool[name].as_str().unwrap_or_default().to_owned();
        let description = text("description").lines().next().unwrap_or_default().to_owned();
        format!("{:<40} {:<8} {:<6} {description}", text("name"), text("executor"), text("risk"))
    };
    let lines: Vec<_> = tools["items"].as_array().into_iter().flatten().map(line).collect();
    context.print(&tools, &lines.join("\n"));
    Ok(ExitCode::SUCCESS)
}

async fn upstreams(context: &Context, server: Server) -> Result<ExitCode, CliError> {
    let found = server.remote.client(context, &["run:read"])?.get("/v1/upstreams").await?;
    let line = |upstream: &Value| {
        let reach = &upstream["reach"];
        let at = reach["http"]["url"].as_str().or_else(|| reach["stdio"]["program"].as_str()).unwrap_or_default();
        format!("{:<20} {at}", upstream["name"].as_str().unwrap_or_default())
    };
    let lines: Vec<_> = found["items"].as_array().into_iter().flatten().map(line).collect();
    let none = "There are no upstreams. Declare one with `xagent tools declare`.";
    context.print(&found, &if lines.is_empty() { none.to_owned() } else { lines.join("\n") });
    Ok(ExitCode::SUCCESS)
}

impl Declare {
    async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let reach = match (self.program, self.mcp_url) {
            (Some(program), _) => {
                let environment = settings(&self.environment)?;
                json!({"stdio": {"program": program, "arguments": self.arguments, "environment": environment}})
            }
            (None, url) => json!({"http": {"url": url, "headers": settings(&self.headers)?}}),
        };
        let body = json!({
            "name": self.name, "reach": reach, "concurrency": self.concurrency, "timeout_ms": self.timeout_ms,
        });
        let done = self.server.remote.client(context, &["upstream:declare"])?.post("/v1/upstreams", &body).await?;
        context
            .print(&done, &format!("{0} is declared; register its tools with `xagent tools discover {0}`", self.name));
        Ok(ExitCode::SUCCESS)
    }
}

impl Discover {
    async fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        let low = json!({"risk": "low", "idempotent": true, "consequential": false, "reads_untrusted": true});
        let tools: Map<String, Value> = self.low.into_iter().map(|name| (name, low.clone())).collect();
        let client = self.server.remote.client(context, &["tool:register", "tool:*"])?;
        let path = format!("/v1/upstreams/{}/discover", self.name);
        let found = client.post(&path, &json!({"accept": self.accept, "tools": tools})).await?;
        context.print(&found, &told(&found));
        let changed = found["changed"].as_array().is_some_and(|changed| !changed.is_empty());
        Ok(if changed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn told(found: &Value) -> String {
    let mut lines = Vec::new();
    for (kind, said) in [
        ("registered", "registered"),
        ("unchanged", "unchanged"),
        ("changed", "CHANGED: not called until it is accepted with --accept"),
    ] {
        let names = found[kind].as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.extend(names.map(|name| format!("{name:<40} {said}")));
    }
    let refused = found["refused"].as_object().into_iter().flatten();
    lines.extend(refused.map(|(name, reason)| format!("{name:<40} refused: {}", reason.as_str().unwrap_or_default())));
    if lines.is_empty() { "It offers no tools.".to_owned() } else { lines.join("\n") }
}

fn settings(texts: &[String]) -> Result<Map<String, Value>, CliError> {
    let setting = |text: &String| {
        let wrong = || CliError::new(format!("`{text}` is not NAME=TEXT"), "for example TOKEN=secret:SEARCH_TOKEN");
        let (name, text) = text.split_once('=').ok_or_else(wrong)?;
        let value = match text.strip_prefix("secret:") {
            Some(secret) => json!({"secret": secret}),
            None => json!({"value": text}),
        };
        Ok((name.to_owned(), value))
    };
    texts.iter().map(setting).collect()
}
