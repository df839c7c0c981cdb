//! What the audit trail measures.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

const EVENTS: &str = "xagent_audit_events_total";
const PUSHES: &str = "xagent_audit_pushes_total";
const SECONDS: &str = "xagent_audit_push_seconds";

/// Says what each of them means, to whatever exports them.
pub fn describe() {
    describe_counter!(EVENTS, "Events of the audit trail, by target and outcome: pushed, refused, too_old or too_long");
    describe_counter!(
        PUSHES,
        "Batches sent to a target of the audit trail: stored, refused, or failed and tried again"
    );
    describe_histogram!(SECONDS, Unit::Seconds, "From sending a batch of the audit trail to the target's answer");
}

/// `outcome`: `pushed`, `refused`, `too_old` or `too_long`.
pub(super) fn events(target: &'static str, outcome: &'static str, count: usize) {
    counter!(EVENTS, "target" => target, "outcome" => outcome).increment(count as u64);
}

/// `outcome`: `stored`, `refused` or `failed`.
pub(super) fn push(target: &'static str, outcome: &'static str, took: Duration) {
    counter!(PUSHES, "target" => target, "outcome" => outcome).increment(1);
    histogram!(SECONDS, "target" => target).record(took.as_secs_f64());
}
