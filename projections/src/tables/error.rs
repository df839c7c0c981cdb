//! Why the query tables could not be read or written.

use xagent_ledger::LedgerError;

/// An error of the query tables.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// The database is away, too slow or too busy.
    #[error("the query tables are unavailable: {operation}: {detail}")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// What happened.
        detail: String,
    },
    /// The database refused: a missing migration, missing rights, a bug.
    #[error("the query tables failed: {operation}: {detail}")]
    Failed {
        /// What was being done.
        operation: &'static str,
        /// What the database said.
        detail: String,
    },
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Another writer moved the tables.
    #[error("the query tables are at position {found}, not at {expected}: another writer moved them")]
    Moved {
        /// Where the writer thought they were.
        expected: u64,
        /// Where they are.
        found: u64,
    },
    /// The tables do not reach as far as was asked for.
    #[error("the query tables are at position {position}, and {wanted} was not reached in time")]
    Behind {
        /// Where they are.
        position: u64,
        /// Where they should have been.
        wanted: u64,
    },
    /// The position asked for is not in the ledger.
    #[error("position {wanted} is past the end of the ledger, which is at {head}")]
    Ahead {
        /// What was asked for.
        wanted: u64,
        /// The end of the ledger.
        head: u64,
    },
    /// Somebody else rebuilds them just now.
    #[error("the query tables are being rebuilt by another process just now")]
    Busy,
}

impl TablesError {
    pub(crate) fn database(operation: &'static str, error: &sqlx::Error) -> Self {
        let detail = error.to_string();
        if xagent_ledger::is_passing(error) {
            Self::Unavailable { operation, detail }
        } else {
            Self::Failed { operation, detail }
        }
    }

    /// Whether trying again later can help.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Behind { .. } | Self::Busy => true,
            Self::Ledger(error) => error.is_unavailable(),
            Self::Failed { .. } | Self::Moved { .. } | Self::Ahead { .. } => false,
        }
    }
}
