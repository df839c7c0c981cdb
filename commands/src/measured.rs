//! What the write side measures, by the names it is exported under (Prometheus naming: a unit, `_total` for counters).

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use xagent_domain::{Document, Evaluation, FailureClass, Outcome};

const DECISIONS: &str = "xagent_decisions_total";
const DENIALS: &str = "xagent_denials_total";
const FAILED: &str = "xagent_decisions_failed_total";
const DECISION_SECONDS: &str = "xagent_decision_seconds";
const CALLS: &str = "xagent_tool_calls_total";
const CALL_SECONDS: &str = "xagent_tool_call_seconds";
const WAITING: &str = "xagent_engine_waiting_decisions";
const RUNS: &str = "xagent_worker_runs";
/// A longer code is one that no policy of ours writes; it must not become a label.
const LONGEST_CODE: usize = 64;

/// Says what each of them means, to whatever exports them.
pub fn describe() {
    describe_counter!(DECISIONS, "Decisions, by entrypoint and verdict: allow, approval or deny");
    describe_counter!(DENIALS, "Denials, by entrypoint and the first reason's code");
    describe_counter!(FAILED, "Decisions that no policy made, each of which denies, by what went wrong");
    describe_histogram!(
        DECISION_SECONDS,
        Unit::Seconds,
        "From the question to the answer, the wait for an engine included"
    );
    describe_counter!(CALLS, "Tool calls that workers made, by what became of them");
    describe_histogram!(CALL_SECONDS, Unit::Seconds, "How long tools ran");
    describe_gauge!(WAITING, "Decisions that wait for an engine");
    describe_gauge!(RUNS, "Runs the workers of this process have in hand: ready to be walked, or walking");
}

/// One less, however the wait ends.
pub(crate) struct Waiting;

impl Waiting {
    /// A decision waits for an engine.
    pub fn begin() -> Self {
        gauge!(WAITING).increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        gauge!(WAITING).decrement(1.0);
    }
}

pub(crate) fn runs(ready: usize, walking: usize) {
    gauge!(RUNS, "state" => "ready").set(ready as f64);
    gauge!(RUNS, "state" => "walking").set(walking as f64);
}

pub(crate) fn decided(evaluation: &Evaluation, took: Duration) {
    let (entrypoint, document) = (evaluation.entrypoint.to_string(), evaluation.outcome.document());
    histogram!(DECISION_SECONDS, "entrypoint" => entrypoint.clone()).record(took.as_secs_f64());
    counter!(DECISIONS, "entrypoint" => entrypoint.clone(), "verdict" => verdict(&document)).increment(1);
    if let Outcome::Failure { class, .. } = evaluation.outcome {
        counter!(FAILED, "entrypoint" => entrypoint.clone(), "class" => class_name(class)).increment(1);
    }
    if let Some(reason) = document.deny.into_iter().next().filter(|reason| reason.code.len() <= LONGEST_CODE) {
        counter!(DENIALS, "entrypoint" => entrypoint, "code" => reason.code).increment(1);
    }
}

/// As the record writes it.
fn class_name(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Undefined => "undefined",
        FailureClass::EvaluationError => "evaluation_error",
        FailureClass::Timeout => "timeout",
        FailureClass::InstructionLimit => "instruction_limit",
        FailureClass::WrongShape => "wrong_shape",
        FailureClass::BundleMissing => "bundle_missing",
        FailureClass::EngineUnavailable => "engine_unavailable",
    }
}

pub(crate) fn verdict(document: &Document) -> &'static str {
    match (document.allow, document.obligations.is_empty()) {
        (true, _) => "allow",
        (false, false) => "approval",
        (false, true) => "deny",
    }
}

/// `succeeded` is nothing where what became of the call is not known.
pub(crate) fn called(succeeded: Option<bool>, took: Duration) {
    let outcome = succeeded.map_or("unknown", |succeeded| if succeeded { "succeeded" } else { "failed" });
    counter!(CALLS, "outcome" => outcome).increment(1);
    histogram!(CALL_SECONDS).record(took.as_secs_f64());
}
