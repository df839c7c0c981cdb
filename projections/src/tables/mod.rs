//! The query tables in Postgres: runs, goals, decisions, tool calls, approvals and usage as rows. A view: filled from the
//! ledger by one leader, dropped and rebuilt at will, read by the doors and by analysts.
//!
//! Whoever fills them cannot touch events, and whoever reads them cannot write.

mod build;
pub(crate) mod connect;
mod digest;
mod error;
mod fold;
mod follow;
mod load;
mod query;
mod rebuild;
mod row;
mod rows;
mod write;

pub(crate) use build::page;
pub use connect::Tables;
pub use digest::{TableDigest, TablesDigest};
pub use error::TablesError;
pub(crate) use fold::decision_row;
pub use follow::TableProjector;
pub use query::{Answer, Order, Question, Rows, Wanted};
pub use rebuild::{Built, Rebuild, Target};
pub use row::{Column, Filter, Kind, Listed, Row, Test};
pub use rows::{ApprovalRow, DecisionRow, GoalRow, RunRow, SwitchRow, ToolCallRow, UsageRow};
