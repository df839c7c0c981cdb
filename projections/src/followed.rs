//! Spans of the read side: an event that was recorded just now, in a trace that somebody records, is followed to the relay and
//! into the view. Older ones, as a rebuild or a catch-up meets them, are not: their trace is over.

use serde::Deserialize;
use tracing::Span;
use xagent_domain::Recorded;

/// How old an event may be whose way is followed, in microseconds.
const YOUNG_US: i64 = 60_000_000;
/// The header that carries the trace to consumers (W3C Trace Context).
pub(crate) const HEADER: &str = "traceparent";

#[derive(Deserialize)]
struct Traced {
    #[serde(default)]
    traceparent: String,
}

/// The trace of an event, as its metadata has it.
pub(crate) fn trace(event: &Recorded) -> String {
    serde_json::from_str(&event.metadata).map_or_else(|_| String::new(), |traced: Traced| traced.traceparent)
}

/// The span in which `event` is published, and the `traceparent` its consumers go on with.
pub(crate) fn relayed(event: &Recorded, now_us: i64) -> (Span, String) {
    let traceparent = trace(event);
    if !is_followed(event, &traceparent, now_us) {
        return (Span::none(), traceparent);
    }
    let span = tracing::info_span!(
        "xagent.relay",
        "otel.kind" = "producer",
        "messaging.system" = "nats",
        "messaging.destination.name" = crate::STREAM,
        "xagent.event_type" = event.event_type,
        "xagent.position" = event.position,
    );
    let traceparent = xagent_trace::adopt(&span, &traceparent);
    (span, traceparent)
}

/// The span in which `event`, which came with `traceparent`, is brought into a view.
pub(crate) fn viewed(view: &'static str, event: &Recorded, traceparent: &str, now_us: i64) -> Span {
    if !is_followed(event, traceparent, now_us) {
        return Span::none();
    }
    let span = tracing::info_span!(
        "xagent.view",
        "otel.kind" = "consumer",
        "messaging.system" = "nats",
        "messaging.destination.name" = crate::STREAM,
        "xagent.view" = view,
        "xagent.event_type" = event.event_type,
        "xagent.position" = event.position,
    );
    xagent_trace::adopt(&span, traceparent);
    span
}

fn is_followed(event: &Recorded, traceparent: &str, now_us: i64) -> bool {
    event.recorded_at_us.saturating_add(YOUNG_US) > now_us && xagent_trace::is_sampled(traceparent)
}
