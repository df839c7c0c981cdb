//! What operators watch: metrics for Prometheus. `server.rs` starts it; the doors count requests through it.

mod exporter;
mod requests;

pub use exporter::{Exporter, Metrics};
pub use requests::counted;

use metrics::{describe_gauge, gauge};

const STREAMS: &str = "xagent_streams_open";

/// How many live streams are open.
pub fn streams_open(count: usize) {
    gauge!(STREAMS).set(count as f64);
}

fn describe() {
    describe_gauge!(STREAMS, "Live streams that are open");
    requests::describe();
    xagent_ledger::measured::describe();
    xagent_commands::measured::describe();
    xagent_projections::measured::describe();
}
