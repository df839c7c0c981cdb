//! The view of runs in Redis: each run's folded state and its planner's working memory, kept by a durable consumer, exactly once by position.

mod apply;
mod follow;
mod memory;
mod store;

use serde::{Deserialize, Serialize};
use xagent_domain::run::Run;

pub use follow::RunProjector;
pub use memory::MemoryView;
pub use store::RunViews;

/// A run as the view holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// Sequence of the last event in it.
    pub sequence: u64,
    /// Position of the last event in it.
    pub position: u64,
    /// When that was recorded, in microseconds since 1970.
    pub updated_at_us: i64,
    /// The folded state.
    pub state: Run,
}

/// Why a view could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// Redis is away or too slow.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// Redis gave no answer in time.
    #[error("Redis gave no answer in time")]
    Timeout,
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] xagent_ledger::LedgerError),
    /// NATS could not be read.
    #[error("NATS: {0}")]
    Nats(String),
    /// What Redis holds is not a view.
    #[error("the view `{key}` cannot be read: {detail}")]
    Undecodable {
        /// Its key.
        key: String,
        /// Why.
        detail: String,
    },
}
