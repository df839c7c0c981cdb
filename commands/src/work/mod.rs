//! Workers: they find runs with something to do, hold each run's lease, and walk it step by step.

mod drive;
mod perform;
mod upstream;
mod watch;

use std::time::Duration;

use xagent_domain::Tenant;

use crate::{Commands, ToolBox};

/// Bounds of a worker.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Runs walked at once.
    pub concurrency: usize,
    /// How long one tool may take.
    pub tool_timeout: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { concurrency: 8, tool_timeout: Duration::from_secs(60) }
    }
}

/// Walks runs. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    commands: Commands,
    toolbox: ToolBox,
    options: WorkerOptions,
}

/// A run, as a worker refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RunKey {
    tenant: Tenant,
    run: String,
}

impl Worker {
    /// A worker that carries its steps out through `commands`.
    pub fn new(commands: Commands, options: WorkerOptions) -> Self {
        Self { commands, toolbox: ToolBox::new(options.tool_timeout), options }
    }
}
