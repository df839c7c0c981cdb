//! What the read side measures, by the names it is exported under (Prometheus naming: a unit, `_total` for counters).

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use xagent_domain::Recorded;

const POSITION: &str = "xagent_reader_position";
const EVENTS: &str = "xagent_reader_events_total";
const UNALLOWED: &str = "xagent_tool_calls_without_allow_total";
const DELAY_SECONDS: &str = "xagent_reader_delay_seconds";

/// Says what each of them means, to whatever exports them.
pub fn describe() {
    crate::audit::describe();
    describe_gauge!(POSITION, "The last position that a reader of the ledger has dealt with: the relay, or a view");
    describe_counter!(EVENTS, "Events that a reader has dealt with");
    describe_counter!(
        UNALLOWED,
        "Tool calls that started without an allow before them, as the query tables met them: 0"
    );
    describe_histogram!(
        DELAY_SECONDS,
        Unit::Seconds,
        "From recording an event to having dealt with it, of a batch's last one"
    );
}

/// `reader` begins behind a position.
pub(crate) fn begins(reader: &'static str, position: u64) {
    gauge!(POSITION, "reader" => reader).set(position as f64);
}

/// `reader` has dealt with `count` events up to `last`, at `now_us`.
pub(crate) fn reached(reader: &'static str, count: usize, last: &Recorded, now_us: i64) {
    gauge!(POSITION, "reader" => reader).set(last.position as f64);
    counter!(EVENTS, "reader" => reader).increment(count as u64);
    let delay_us = now_us.saturating_sub(last.recorded_at_us).max(0);
    histogram!(DELAY_SECONDS, "reader" => reader).record(delay_us as f64 / 1e6);
}

/// Of the tool calls that started, so many had no allow before them.
pub(crate) fn unallowed(calls: u64) {
    counter!(UNALLOWED).increment(calls);
}
