//! A recorded decision as an event of OPA's decision log.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};
use xagent_domain::{DecisionMade, Metadata, Outcome, Recorded};

/// The event, unmasked. `input` is the text the decision was made on; none where it is not recorded any more.
pub fn of(event: &Recorded, made: &DecisionMade, input: Option<&str>) -> Map<String, Value> {
    let evaluation = &made.evaluation;
    let metadata: Metadata = serde_json::from_str(&event.metadata).unwrap_or_default();
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    put("decision_id", json!(made.decision));
    put("path", json!(evaluation.entrypoint));
    put("bundles", json!({"xagent": {"revision": evaluation.bundle}}));
    let engine = &evaluation.engine;
    put(
        "labels",
        json!({"id": event.tenant, "engine": engine.name, "mode": engine.mode, "version": engine.version,
            "position": event.position.to_string()}),
    );
    if let Some(input) = input.and_then(|text| serde_json::from_str(text).ok()) {
        put("input", input);
    }
    match &evaluation.outcome {
        Outcome::Document(text) => put("result", text.value().unwrap_or(Value::Null)),
        Outcome::Failure { class, message } => put("error", json!({"code": class, "message": message})),
    }
    put("requested_by", json!(metadata.actor));
    put("timestamp", json!(timestamp(event.recorded_at_us)));
    put("metrics", json!({"timer_server_handler_ns": evaluation.duration_us.saturating_mul(1000)}));
    let mut trace = metadata.traceparent.split('-').skip(1);
    if let (Some(trace_id), Some(span_id)) = (trace.next(), trace.next()) {
        put("trace_id", json!(trace_id));
        put("span_id", json!(span_id));
    }
    shown
}

fn timestamp(microseconds: i64) -> String {
    let at = DateTime::from_timestamp_micros(microseconds);
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)).unwrap_or_default()
}
