//! The short-term views in Redis, kept by a durable consumer, exactly once by position: each run's folded state and its
//! planner's working memory; the runs that go on, the approvals that wait, the latest decisions, and what is used up by hour.

mod apply;
mod cache;
mod change;
mod digest;
mod fold;
mod follow;
mod memory;
mod noted;
mod overview;
mod rebuild;
mod store;
mod usage;

use serde::{Deserialize, Serialize};
use xagent_domain::run::Run;

pub use follow::RunProjector;
pub use memory::MemoryView;
pub use overview::{LiveRun, Overview, Used};
pub use rebuild::ViewsRebuild;
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
    /// Another rebuild is under way.
    #[error("the views in Redis are being rebuilt by somebody else")]
    Busy,
    /// A position past the ledger's end was asked for.
    #[error("position {wanted} is past the ledger's end, {head}")]
    Ahead {
        /// The position.
        wanted: u64,
        /// The ledger's end.
        head: u64,
    },
    /// Others moved a view each time it was looked at, or moved a build.
    #[error("the views in Redis were moved by somebody else all the while")]
    Moved,
}

impl ViewError {
    fn undecodable(key: &str, error: &serde_json::Error) -> Self {
        Self::Undecodable { key: key.to_owned(), detail: error.to_string() }
    }
}
