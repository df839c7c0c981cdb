//! The rows of the query tables. Their names are those of the API, of exports and of the database.

mod calls;
mod decisions;
mod runs;
mod usage;

use super::row::{Filter, is};

pub use calls::{ApprovalRow, ToolCallRow};
pub use decisions::DecisionRow;
pub use runs::{GoalRow, RunRow};
pub use usage::{SwitchRow, UsageRow};

const AGENT: Filter = is("agent", "of this agent");
const PRINCIPAL: Filter = is("principal", "on the authority of this principal");
const RUN: Filter = is("run", "of this run");
const TOOL: Filter = is("tool", "about this tool");
