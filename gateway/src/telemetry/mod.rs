//! What operators watch: metrics for Prometheus, the log as JSON lines, spans for an OTLP receiver. `server.rs` and the command
//! line start it; the doors count requests through it, and carry them out in spans.

mod exporter;
mod logs;
mod requests;
mod spans;
mod traces;

pub use exporter::{Exporter, Metrics};
pub use logs::Telemetry;
pub use requests::counted;
pub use spans::traced;

use metrics::{counter, describe_counter, describe_gauge, gauge};

const STREAMS: &str = "xagent_streams_open";
const REFUSED: &str = "xagent_requests_refused_total";

/// How many live streams are open.
pub fn streams_open(count: usize) {
    gauge!(STREAMS).set(count as f64);
}

/// A request was refused at the door, for one of few reasons.
pub fn refused(why: &'static str) {
    counter!(REFUSED, "why" => why).increment(1);
}

fn describe() {
    describe_counter!(REFUSED, "Requests refused before the law was asked, by why");
    traces::describe();
    describe_gauge!(STREAMS, "Live streams that are open");
    requests::describe();
    xagent_ledger::measured::describe();
    xagent_commands::measured::describe();
    xagent_projections::measured::describe();
}
