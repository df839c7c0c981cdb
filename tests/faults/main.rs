//! The ledger under faults: four processes append at once, something breaks for real, and all is counted.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod appenders;
mod contention;
mod cut;
mod database;
mod full_disk;
mod given_up;
mod killed;
mod lost;
mod proxy;
mod reader;
mod reckoning;
mod wal_disk;
mod wire;
