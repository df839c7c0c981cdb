//! The ledger under faults: several processes append at once, something breaks for real, and all is counted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contention;
mod database;
