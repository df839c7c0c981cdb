//! End-to-end and fault tests over the public interface: real servers, the real binary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod agentdojo;
mod api_keys;
mod approvals;
mod archive;
mod builtins;
mod bundles;
mod checkpoints;
mod commands;
mod compatibility;
mod crash;
mod decision_logs;
mod doors;
mod every_route;
mod evidence;
mod idempotency;
mod law;
mod ledger;
mod limits;
mod live;
mod live_ends;
mod live_many;
mod mirrors;
mod opa_engine;
mod outages;
mod planner;
mod planner_control;
mod planner_hostile;
mod plans;
mod policy_cli;
mod pressure;
mod processes;
mod proofs;
mod ranges;
mod record;
mod review;
mod rotation;
mod schemathesis;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod sandbox;
mod secrets;
mod settings;
mod shutdown;
mod snapshots;
mod ssrf;
mod subscription;
mod switch;
mod tail;
mod tamper;
mod tamper_matrix;
mod tls;
mod token_attacks;
mod token_issuer;
mod world;
