//! Decide, record, and only then act.

mod execute;
mod law;
mod permit;
mod usage;

pub use execute::Executor;
pub(crate) use execute::{Executed, Request};
pub use law::Law;
pub use permit::{Allowed, ToolCall};
pub(crate) use usage::UsageCounters;
