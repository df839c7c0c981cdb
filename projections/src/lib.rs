//! The read side: the relay to NATS JetStream, the views built from it, the query tables, the stream in which
//! work waits, the audit trail, and checkpoints on their way out. It never appends.
//!
//! The doors read its views and start its tasks. Every view can be dropped and is rebuilt from the ledger.

mod audit;
mod bus;
mod checkpoints;
mod followed;
pub mod measured;
mod rates;
mod relay;
mod tables;
mod views;
mod work;

pub use audit::{AuditError, AuditTrail, Lines, Loki, LokiOptions, OtlpLogs, Rewound, Target as AuditTarget};
pub use bus::{Bus, CHECKPOINTS, STREAM};
pub use checkpoints::{CheckpointMirror, CheckpointRelay, Place, PlaceError};
pub use rates::{Rate, RateCounters, Taken};
pub use relay::{CloudEvent, Relay, subject};
pub use tables::{
    Answer, ApprovalRow, Built, Column, DecisionRow, Filter, GoalRow, Kind, Listed, Order, Question, Rebuild, Row,
    Rows, RunRow, SwitchRow, TableDigest, TableProjector, Tables, TablesDigest, TablesError, Target, Test, ToolCallRow,
    UsageRow, Wanted,
};
pub use views::{LiveRun, MemoryView, Overview, RunProjector, RunView, RunViews, Used, ViewError, ViewsRebuild};
pub use work::{TakenWork, WORK, WorkError, WorkItem, WorkStream, WorkTicket};
