//! The write side: commands decided by the law, the agent loop, planners, tools, workers.
//!
//! The doors call it; it calls the ledger, the law and the domain. No tool runs here without a
//! permit made from a committed decision.

mod ambient;
mod api;
mod error;
mod fork;
mod governed;
pub mod measured;
mod planner;
mod tool;
mod work;

pub use ambient::{Ids, SystemClock};
pub use api::{
    Activated, Asked, CallEnd, Callable, Caller, Commands, CommandsOptions, Discovered, Discovery, Done, Followed,
    ForkRequest, ForkedRun, IssuedKey, KeyHolder, KeyRefusal, KeyRequest, PlannerRequest, ProposedCall, Published,
    ReplayReport, RunRequest, StartedRun, ToolRequest, Trusted,
};
pub use error::{CommandError, InvalidInput};
pub use governed::{Allowed, Executor, Law, ToolCall};
pub use planner::{
    BudgetRequest, ChatRequest, ModelKey, ModelServer, ModelServerError, ModelServerOptions, check_plan,
};
pub use tool::{
    Catalog, CodeLimits, Database, Origin, Resolver, Resolving, SecretSource, Secrets, SystemResolver, ToolBox,
    ToolResult, ToolSettings, Toolkit, builtin_registrations,
};
pub use work::{Lane, Limits, NoQueue, Offer, QueueError, Taken, Waiting, WorkQueue, Worker, WorkerOptions};
