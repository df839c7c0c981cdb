//! End-to-end and fault tests over the public interface: real servers, the real binary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod agentdojo;
mod approvals;
mod archive;
mod bundles;
mod checkpoints;
mod compatibility;
mod crash;
mod decision_logs;
mod doors;
mod evidence;
mod idempotency;
mod law;
mod ledger;
mod live;
mod live_ends;
mod live_many;
mod mcp;
mod mcp_clients;
mod mirrors;
mod opa_engine;
mod outages;
mod plans;
mod policy_cli;
mod pressure;
mod processes;
mod proofs;
mod ranges;
mod record;
mod review;
mod rotation;
mod settings;
mod snapshots;
mod subscription;
mod switch;
mod tail;
mod tamper;
mod tamper_matrix;
mod upstreams;
mod world;
