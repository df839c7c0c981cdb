//! Workers: they take runs with something to do, hold each run's lease, and walk it step by step.
//!
//! Runs wait in a queue that all workers share ([`WorkQueue`]). The ledger says what there is to do: one process fills the
//! queue from it, and while the queue is away every worker reads the ledger itself.

mod answer;
mod carry;
mod drive;
mod fair;
mod follow;
mod intake;
mod lanes;
mod limits;
mod perform;
mod plan;
mod queue;
mod queuer;
mod record;
mod roster;
mod script;
mod upstream;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use xagent_domain::Tenant;

pub use limits::Limits;
pub use queue::{Lane, NoQueue, Offer, QueueError, Taken, Waiting, WorkQueue};

use crate::fork::Answering;
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
    /// How long the steps under way may take when the worker stops.
    pub drain: Duration,
    /// How often the ledger is asked for runs that nobody has queued.
    pub sweep: Duration,
    /// How much may be at work at once, over all workers.
    pub limits: Arc<Limits>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            tools: 8,
            calls: 4,
            tool_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(20),
            sweep: Duration::from_secs(15),
            limits: Arc::default(),
        }
    }
}

/// Walks runs. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    commands: Commands,
    toolbox: ToolBox,
    /// One slot per tool at work.
    slots: Arc<Semaphore>,
    /// One place per run being walked.
    places: Arc<Semaphore>,
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
    /// It has to stop now: what is under way is left.
    given_up: CancellationToken,
    /// What answers calls in the place of tools, where the run continues another one.
    answering: Option<Answering>,
}

impl Walk {
    fn new(key: RunKey, ended: CancellationToken, stop: CancellationToken, given_up: CancellationToken) -> Self {
        Self { key, traceparent: Ids.traceparent(), ended, stop, given_up, answering: None }
    }

    fn next_step(&mut self, span: &tracing::Span) {
        self.traceparent = xagent_trace::of(span).unwrap_or_else(|| Ids.traceparent());
    }
}

impl Worker {
    /// A worker that carries its steps out through `commands`, with the tools of `kit`.
    pub fn new(commands: Commands, kit: Toolkit, options: WorkerOptions) -> Self {
        let slots = Arc::new(Semaphore::new(options.tools));
        let places = Arc::new(Semaphore::new(options.concurrency));
        Self { commands, toolbox: ToolBox::new(options.tool_timeout, kit), slots, places, options }
    }
}
