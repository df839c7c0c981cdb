//! The doors: REST, live streams, authentication, the command line, and the composition root of the `xagent` binary.
//!
//! Nobody calls this room but `main.rs`. It decides nothing: it turns requests into commands and queries.

#![warn(clippy::print_stdout)]

mod access;
pub mod cli;
mod configuration;
mod console;
mod evidence;
mod export;
mod limits;
mod listen;
mod mcp;
mod opa_event;
mod problem;
mod recordings;
mod rest;
mod sample;
mod server;
mod shown;
mod stream;
mod telemetry;
mod trace;
mod work;
