//! The read side: the relay to NATS JetStream, the views built from it, the query tables, the audit trail, and
//! checkpoints on their way out. It never appends.
//!
//! The doors read its views and start its tasks. Every view can be dropped and is rebuilt from the ledger.

mod audit;
mod bus;
mod checkpoints;
mod followed;
pub mod measured;
mod rates;
mod relay;
mod runs;
mod tables;

pub use audit::{AuditError, AuditTrail, Lines, Loki, LokiOptions, OtlpLogs, Rewound, Target as AuditTarget};
pub use bus::{Bus, CHECKPOINTS, STREAM};
pub use checkpoints::{CheckpointMirror, CheckpointRelay, Place, PlaceError};
pub use rates::{Rate, RateCounters, Taken};
pub use relay::{CloudEvent, Relay, subject};
pub use runs::{RunProjector, RunView, RunViews, ViewError};
pub use tables::{
    Answer, ApprovalRow, Built, Column, DecisionRow, Filter, GoalRow, Kind, Listed, Order, Question, Rebuild, Row,
    Rows, RunRow, SwitchRow, TableDigest, TableProjector, Tables, TablesDigest, TablesError, Target, Test, ToolCallRow,
    UsageRow, Wanted,
};
