//! Decide, record, and only then act.

mod execute;
mod law;
mod permit;
mod recorded_law;
mod usage;

pub use execute::Executor;
pub(crate) use execute::{Executed, Request};
pub use law::Law;
pub use permit::{Allowed, ToolCall};
pub(crate) use recorded_law::unloadable;
pub(crate) use usage::UsageCounters;
