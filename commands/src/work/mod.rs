//! Workers: they find runs with something to do, hold each run's lease, and walk it step by step.

mod drive;
mod perform;
mod plan;
mod record;
mod script;
mod upstream;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use xagent_domain::Tenant;

use crate::{Commands, Ids, ToolBox, Toolkit};

/// Bounds of a worker.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Runs walked at once: most of them wait for models.
    pub concurrency: usize,
    /// Tools at work at once, over all runs.
    pub tools: usize,
    /// Calls of one run under way at once, where its planner asked for them together.
    pub calls: usize,
    /// How long one tool may take.
    pub tool_timeout: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { concurrency: 64, tools: 8, calls: 4, tool_timeout: Duration::from_secs(60) }
    }
}

/// Walks runs. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    commands: Commands,
    toolbox: ToolBox,
    /// One slot per tool at work.
    slots: Arc<Semaphore>,
    options: WorkerOptions,
}

/// A run, as a worker refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RunKey {
    tenant: Tenant,
    run: String,
}

/// A walk over a run.
struct Walk {
    key: RunKey,
    /// The trace of the present step, as what it brings about is recorded: a consultation and all that comes of it.
    traceparent: String,
    /// The run has ended: whatever is under way for it is to be given up.
    ended: CancellationToken,
    /// The worker stops.
    stop: CancellationToken,
}

impl Walk {
    fn new(key: RunKey, ended: CancellationToken, stop: CancellationToken) -> Self {
        Self { key, traceparent: Ids.traceparent(), ended, stop }
    }

    fn next_step(&mut self, span: &tracing::Span) {
        self.traceparent = xagent_trace::of(span).unwrap_or_else(|| Ids.traceparent());
    }
}

impl Worker {
    /// A worker that carries its steps out through `commands`, with the tools of `kit`.
    pub fn new(commands: Commands, kit: Toolkit, options: WorkerOptions) -> Self {
        let slots = Arc::new(Semaphore::new(options.tools));
        Self { commands, toolbox: ToolBox::new(options.tool_timeout, kit), slots, options }
    }
}
