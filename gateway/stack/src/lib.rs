//! Private Postgres, NATS and Redis on loopback ports, for `xagent up` and for tests.
//!
//! They live in one folder, end with the process that started them even when it is killed, and can be stopped,
//! killed, paused and started again, so that faults can be tried for real. Blocking: call it off asynchronous threads.

mod cluster;
mod error;
mod lock;
mod nats;
mod ports;
mod postgres;
mod process;
mod ready;
mod redis;
mod spawner;
mod stack;
mod table;
mod tools;

pub use error::StackError;
pub use lock::InstanceLock;
pub use stack::{Need, Server, Stack, StackOptions};
