//! What the ledger measures, by the names it is exported under (Prometheus naming: a unit, `_total` for counters).

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::verify::{Fault, Verification};

const POSITION: &str = "xagent_ledger_position";
const EVENTS: &str = "xagent_append_events_total";
const BATCHES: &str = "xagent_append_batches_total";
const BATCH_COMMANDS: &str = "xagent_append_batch_commands";
const BATCH_SECONDS: &str = "xagent_append_batch_seconds";
const WAITING: &str = "xagent_append_waiting_commands";
const REFUSED: &str = "xagent_append_refused_total";
const RECALLED: &str = "xagent_aggregate_cache_lookups_total";
const CACHE_BYTES: &str = "xagent_aggregate_cache_bytes";
const INTERRUPTED: &str = "xagent_leader_interruptions_total";
const CHECKPOINT: &str = "xagent_checkpoint_position";
const VERIFICATIONS: &str = "xagent_verifications_total";
const VERIFIED: &str = "xagent_verified_events";
const VERIFIED_AT: &str = "xagent_verified_timestamp_seconds";
const VERIFY_FAULTS: &str = "xagent_verify_faults";
const VERIFY_MISSING: &str = "xagent_verify_missing_positions";
const VERIFY_SECONDS: &str = "xagent_verify_seconds";

/// Says what each of them means, to whatever exports them.
pub fn describe() {
    describe_gauge!(POSITION, "The last position of the ledger that this process knows of");
    describe_counter!(EVENTS, "Events committed by this process");
    describe_counter!(BATCHES, "Batches sent to the database, by what became of them");
    describe_histogram!(BATCH_COMMANDS, "Commands committed in one batch");
    describe_histogram!(BATCH_SECONDS, Unit::Seconds, "From sending a batch to its commit, the fsync included");
    describe_gauge!(WAITING, "Commands that wait for the appender");
    describe_counter!(REFUSED, "Commands refused because too many were waiting");
    describe_counter!(RECALLED, "Aggregates asked for, by whether they were in memory");
    describe_gauge!(CACHE_BYTES, Unit::Bytes, "Bytes of the aggregates in memory, as their states are written");
    describe_counter!(INTERRUPTED, "Failures that broke a leader off: the relay, a view, a trail; it begins anew");
    describe_gauge!(CHECKPOINT, "Positions covered by the newest checkpoint that this process signed");
    describe_counter!(VERIFICATIONS, "Verifications of the whole ledger, by outcome: holds, broken or failed");
    describe_gauge!(VERIFIED, "Events that the last verification read and checked");
    describe_gauge!(VERIFIED_AT, Unit::Seconds, "When the last verification ended, in Unix time");
    describe_gauge!(VERIFY_FAULTS, "What the last verification found that does not hold");
    describe_gauge!(VERIFY_MISSING, "Positions that the last verification found gone: gaps, and what was cut off");
    describe_histogram!(VERIFY_SECONDS, Unit::Seconds, "How long a verification took");
}

pub(crate) fn position(position: u64) {
    gauge!(POSITION).set(position as f64);
}

pub(crate) fn committed(commands: usize, events: usize) {
    counter!(EVENTS).increment(events as u64);
    histogram!(BATCH_COMMANDS).record(commands as f64);
}

/// `outcome`: `committed`, `elsewhere` (the ledger or a stream was not where the batch thought) or `failed`.
pub(crate) fn sent(outcome: &'static str, took: Duration) {
    counter!(BATCHES, "outcome" => outcome).increment(1);
    histogram!(BATCH_SECONDS).record(took.as_secs_f64());
}

pub(crate) fn waiting(commands: usize) {
    gauge!(WAITING).set(commands as f64);
}

pub(crate) fn refused() {
    counter!(REFUSED).increment(1);
}

pub(crate) fn recalled(found: bool) {
    counter!(RECALLED, "found" => if found { "yes" } else { "no" }).increment(1);
}

pub(crate) fn cache_bytes(bytes: usize) {
    gauge!(CACHE_BYTES).set(bytes as f64);
}

pub(crate) fn interrupted(key: &'static str) {
    counter!(INTERRUPTED, "key" => key).increment(1);
}

pub(crate) fn checkpoint(position: u64) {
    gauge!(CHECKPOINT).set(position as f64);
}

/// From now on the ledger is verified again and again: a count that was never made is 0, not missing.
pub(crate) fn watched() {
    for outcome in ["holds", "broken", "failed"] {
        counter!(VERIFICATIONS, "outcome" => outcome).increment(0);
    }
}

pub(crate) fn verified(found: &Verification, now_us: i64, took: Duration) {
    gauge!(VERIFY_FAULTS).set(found.faults.len() as f64);
    gauge!(VERIFY_MISSING).set(found.faults.iter().map(Fault::missing).fold(0, u64::saturating_add) as f64);
    gauge!(VERIFIED).set(found.events as f64);
    gauge!(VERIFIED_AT).set(now_us as f64 / 1e6);
    histogram!(VERIFY_SECONDS).record(took.as_secs_f64());
    let outcome = if found.faults.is_empty() { "holds" } else { "broken" };
    counter!(VERIFICATIONS, "outcome" => outcome).increment(1);
}

/// A verification did not come to its end.
pub(crate) fn not_verified() {
    counter!(VERIFICATIONS, "outcome" => "failed").increment(1);
}
