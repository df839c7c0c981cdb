//! The event store: appends and reads events. The only writer of the `events` table.
//!
//! Commands, projections and the doors call it. It makes every [`Committed`] and every [`Receipt`], proves what it
//! holds, and verifies itself. It decides nothing and knows no policy.

mod append;
mod archive;
mod cache;
mod committed;
mod connect;
mod error;
mod leader;
mod lease;
pub mod measured;
mod notary;
mod pause;
mod prove;
mod ranges;
mod read;
mod receipt;
mod row;
mod snapshot;
mod store;
mod subscription;
mod tail;
mod verify;

use std::sync::Arc;

pub use append::{Append, Appended, Expected};
pub use archive::MovedRange;
pub use committed::Committed;
pub use connect::{Clock, LedgerOptions, migrate};
pub use error::{LedgerError, is_passing};
pub use leader::{Led, lead};
pub use lease::Lease;
pub use notary::{CheckpointKey, Notary, Outside, StoredCheckpoint};
pub use prove::{ConsistencyProof, InclusionProof};
pub use read::{Head, Loaded, RunStart, Scan, Scanned, Wake};
pub use receipt::{CommandKey, Receipt};
pub use store::{CqrsStore, Fact, Folded, FoldedContext};
pub use subscription::Subscription;
pub use tail::Tail;
pub use verify::{Against, ArchivedRange, Fault, Rewritten, Verification, Watch, Witness};

/// The ledger of one database. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    pool: sqlx::PgPool,
    clock: Arc<dyn Clock>,
    options: LedgerOptions,
    committed: tokio::sync::watch::Sender<u64>,
    queue: append::Queue,
    cache: cache::Cache,
    snapshots: snapshot::Writer,
    listener: tokio::task::AbortHandle,
    ranges: Arc<ranges::Ranges>,
    extender: tokio::task::AbortHandle,
    leases: Arc<lease::Leases>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.listener.abort();
        self.extender.abort();
    }
}
