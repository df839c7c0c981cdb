//! Where a trail goes, and what may come of sending entries there.

use std::time::Duration;

use xagent_ledger::LedgerError;

use super::entry::Entry;
use crate::TablesError;

/// What became of entries that were sent.
#[derive(Debug)]
pub enum Sent {
    /// They are there.
    Stored,
    /// Some of them will never be taken, for this reason; those that are fit may be there.
    Refused(String),
    /// They are to be sent again, for this reason, not before this time is over.
    Later(String, Option<Duration>),
}

/// Where a trail goes. Sending an entry twice must be as good as sending it once.
pub trait Target: Send + Sync {
    /// What the trail is called, in leases, metrics and logs.
    const READER: &'static str;
    /// The name without its room, as its position is kept under.
    const NAME: &'static str;

    /// Why an entry would be refused for good, as far as that is known beforehand: it is not sent.
    fn unfit(&self, _entry: &Entry, _now_us: i64) -> Option<&'static str> {
        None
    }

    /// Sends entries, in order.
    fn send(&self, entries: &[Entry]) -> impl Future<Output = Sent> + Send;
}

/// Why a trail broke off. It goes on from where it was.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The trail's position could not be read or kept.
    #[error(transparent)]
    Position(#[from] TablesError),
    /// Somebody else moved it: another process, or a rebuild.
    #[error("the trail is at position {found}, not at {expected}: it was moved")]
    Moved {
        /// Where it should have been.
        expected: u64,
        /// Where it is.
        found: u64,
    },
    /// The position asked for is not in the ledger.
    #[error("position {wanted} is past the end of the ledger, which is at {head}")]
    Ahead {
        /// What was asked for.
        wanted: u64,
        /// The end of the ledger.
        head: u64,
    },
    /// The lease went to another process.
    #[error("the lease was lost")]
    Lease,
    /// An event is no JSON.
    #[error("event {position} has no line: {detail}")]
    Unreadable {
        /// Which.
        position: u64,
        /// Why.
        detail: String,
    },
    /// Where the trail should go makes no sense.
    #[error("{0}")]
    Misconfigured(String),
}
