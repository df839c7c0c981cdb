//! The audit trail: every event as one JSON line, in position order, to Loki, to an OTLP receiver, or to a file for a
//! collector. A view: the ledger is the record, and any trail can be sent again from any position.
//!
//! Each trail follows the ledger by itself, so that what is away or slow holds up nothing but itself.

mod entry;
mod follow;
mod level;
mod lines;
mod loki;
mod measured;
mod otlp;
mod positions;
mod stamp;
mod target;

pub use follow::{AuditTrail, Rewound};
pub use lines::Lines;
pub use loki::{Loki, LokiOptions};
pub use measured::describe;
pub use otlp::OtlpLogs;
pub use target::{AuditError, Target};
