//! Flags of MCP: the door, and the servers behind it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::mcp::McpOptions;

/// How long an outcome is waited for: as long as a tool may take, and a little.
const PATIENCE: Duration = Duration::from_secs(65);

#[derive(Args, Clone)]
pub struct McpArgs {
    /// A web origin that may call /mcp, for example https://app.example.com:443; `:*` stands for any port; may be repeated
    #[arg(
        long = "mcp-origin",
        env = "XAGENT_MCP_ORIGINS",
        value_delimiter = ',',
        default_values_t = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"].map(str::to_owned),
        value_name = "ORIGIN"
    )]
    mcp_origins: Vec<String>,
    /// How long a run that was opened for an MCP client may be idle before it is closed, in seconds
    #[arg(long, env = "XAGENT_MCP_IDLE_S", default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    mcp_idle_s: u32,
    /// A program that may be started as an upstream MCP server, by its absolute path; may be repeated
    #[arg(long = "upstream-program", env = "XAGENT_UPSTREAM_PROGRAMS", value_delimiter = ':', value_name = "PATH")]
    pub upstream_programs: Vec<PathBuf>,
}

impl McpArgs {
    pub fn options(&self) -> McpOptions {
        let idle = Duration::from_secs(u64::from(self.mcp_idle_s));
        McpOptions { origins: self.mcp_origins.clone(), patience: PATIENCE, idle }
    }
}
