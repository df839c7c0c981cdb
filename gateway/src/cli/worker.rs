//! What a process does, and how much a worker has under way at once, as a server is given them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use xagent_commands::{Limits, WorkerOptions};

use crate::configuration::{Role, Roles};

/// What a process does.
#[derive(Args, Clone)]
pub struct RoleArgs {
    /// What this process does; each may be done by many. See docs/workers.md
    #[arg(long, env = "XAGENT_ROLES", value_enum, value_delimiter = ',', default_values = ["api", "worker", "relay", "projector"], value_name = "ROLES")]
    roles: Vec<Role>,
}

/// Bounds of workers. See docs/workers.md
#[derive(Args, Clone)]
pub struct WorkerArgs {
    /// Runs this process walks at once
    #[arg(long, env = "XAGENT_WORKER_RUNS", default_value_t = 64, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = "Workers")]
    worker_runs: u32,
    /// Tools this process has at work at once
    #[arg(long, env = "XAGENT_WORKER_TOOLS", default_value_t = 8, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = "Workers")]
    worker_tools: u32,
    /// How long the steps under way may take when the process stops, in seconds
    #[arg(long, env = "XAGENT_WORKER_DRAIN_S", default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=600), help_heading = "Workers")]
    worker_drain_s: u32,
    /// How often the ledger is asked for runs that nobody has queued, in seconds
    #[arg(long, env = "XAGENT_WORKER_SWEEP_S", default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600), help_heading = "Workers")]
    worker_sweep_s: u32,
    /// Runs of an agent walked at once, by all workers together, in each tenant; may be repeated
    #[arg(long = "agent-limit", env = "XAGENT_AGENT_LIMITS", value_delimiter = ',', value_name = "AGENT=COUNT", value_parser = limit, help_heading = "Workers")]
    agent_limits: Vec<(String, u32)>,
    /// Calls of a tool under way at once, by all workers together, in each tenant; may be repeated
    #[arg(long = "tool-limit", env = "XAGENT_TOOL_LIMITS", value_delimiter = ',', value_name = "TOOL=COUNT", value_parser = limit, help_heading = "Workers")]
    tool_limits: Vec<(String, u32)>,
}

/// More places than that bound nothing.
const MOST_PLACES: u32 = 1000;

fn limit(text: &str) -> Result<(String, u32), String> {
    let (name, count) = text.rsplit_once('=').ok_or("write NAME=COUNT, as in http_fetch=4")?;
    let within = |count: &u32| (1..=MOST_PLACES).contains(count);
    let count = count
        .parse()
        .ok()
        .filter(within)
        .ok_or_else(|| format!("`{count}` is not a number from 1 to {MOST_PLACES}"))?;
    if name.is_empty() { Err("it names nothing: write NAME=COUNT".to_owned()) } else { Ok((name.to_owned(), count)) }
}

impl RoleArgs {
    pub fn roles(&self) -> Roles {
        Roles::of(&self.roles)
    }
}

impl WorkerArgs {
    pub fn options(&self) -> WorkerOptions {
        let named = |limits: &[(String, u32)]| limits.iter().cloned().collect::<BTreeMap<_, _>>();
        WorkerOptions {
            concurrency: self.worker_runs as usize,
            tools: self.worker_tools as usize,
            drain: Duration::from_secs(self.worker_drain_s.into()),
            sweep: Duration::from_secs(self.worker_sweep_s.into()),
            limits: Arc::new(Limits { agents: named(&self.agent_limits), tools: named(&self.tool_limits) }),
            ..WorkerOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_name_and_a_number() {
        assert_eq!(limit("http_fetch=4"), Ok(("http_fetch".to_owned(), 4)));
        assert_eq!(limit("a=b=1"), Ok(("a=b".to_owned(), 1)));
        for wrong in ["http_fetch", "http_fetch=0", "http_fetch=many", "=1", "http_fetch=1001"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
