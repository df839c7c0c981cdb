//! End-to-end and fault tests over the public interface: real servers, the real binary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod agentdojo;
mod approvals;
mod archive;
mod crash;
mod doors;
mod idempotency;
mod law;
mod ledger;
mod outages;
mod processes;
mod record;
mod review;
mod tamper;
mod tamper_matrix;
mod world;
