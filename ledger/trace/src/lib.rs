//! W3C Trace Context between requests, spans and records: a trace begins or goes on at a door, its `traceparent` is recorded
//! with each event, and whoever takes the event up later goes on with the same trace.
//!
//! Every room that works on events may call it. It exports nothing: see `gateway/src/telemetry`.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use rand::RngCore;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The trace a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The `traceparent` of this request (W3C Trace Context section 3.2).
    pub traceparent: String,
}

impl Trace {
    /// From a `traceparent` header; anything malformed begins a new trace, as the recommendation asks.
    pub fn of(header: Option<&str>) -> Self {
        let given = header.filter(|text| parsed(text).is_some());
        Self { traceparent: given.map_or_else(begun, str::to_owned) }
    }

    /// The trace id, 32 hex digits.
    pub fn id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }
}

/// The trace id and the span id of a `traceparent`, in hex; nothing where it is none.
pub fn ids(traceparent: &str) -> Option<(&str, &str)> {
    parsed(traceparent)?;
    Some((traceparent.get(3..35)?, traceparent.get(36..52)?))
}

/// Whether whoever wrote this `traceparent` records the trace.
pub fn is_sampled(traceparent: &str) -> bool {
    parsed(traceparent).is_some_and(|context| context.is_sampled())
}

/// Lets `span`, which nobody has entered yet, go on with the trace of a `traceparent`.
///
/// Returns the `traceparent` of what happens in the span: its own, or, where spans are not followed, one of the same trace.
pub fn adopt(span: &Span, traceparent: &str) -> String {
    if let Some(parent) = parsed(traceparent) {
        // A span that nobody follows has no parent; a started one keeps its own.
        drop(span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent)));
    }
    of(span).unwrap_or_else(|| child(traceparent))
}

/// The `traceparent` of what happens in `span`; nothing where spans are not followed.
pub fn of(span: &Span) -> Option<String> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| {
        let flags = context.trace_flags() & TraceFlags::SAMPLED;
        format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), flags.to_u8())
    })
}

/// Another span of the same trace, or a new trace where there is none.
fn child(traceparent: &str) -> String {
    match ids(traceparent) {
        Some((trace, _)) => {
            let flags = traceparent.get(53..55).unwrap_or("01");
            format!("00-{trace}-{}-{flags}", drawn::<16>().get(..16).unwrap_or_default())
        }
        None => begun(),
    }
}

fn parsed(text: &str) -> Option<SpanContext> {
    let parts: Vec<_> = text.split('-').collect();
    let [version, trace, parent, flags] = parts.as_slice() else { return None };
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    if *version != "00" || !hex(trace, 32) || !hex(parent, 16) || !hex(flags, 2) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, parent) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(parent).ok()?);
    Some(SpanContext::new(trace, parent, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

fn begun() -> String {
    let drawn = drawn::<48>();
    format!("00-{}-{}-01", drawn.get(..32).unwrap_or_default(), drawn.get(32..).unwrap_or_default())
}

/// Random hex digits, the first of which is no zero: an id of zeros is none.
fn drawn<const DIGITS: usize>() -> String {
    let mut bytes = [0; DIGITS];
    rand::rng().fill_bytes(&mut bytes);
    let digit = |(place, byte): (usize, &u8)| {
        let digit = byte & 0x0f;
        char::from_digit(u32::from(if place % 16 == 0 { digit.max(1) } else { digit }), 16)
    };
    bytes.iter().enumerate().filter_map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_good_traceparent_is_kept_and_a_bad_one_replaced() {
        assert_eq!(Trace::of(Some(GOOD)).id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(ids(GOOD), Some(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")));
        assert!(is_sampled(GOOD) && !is_sampled(&GOOD.replace("-01", "-00")));
        let bad = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        assert_ne!(Trace::of(Some(bad)).traceparent, bad);
        for wrong in [bad, "", "00", &GOOD.to_uppercase(), &GOOD.replace("00-", "ff-"), &format!("{GOOD}-1")] {
            assert_eq!(ids(wrong), None, "{wrong}");
        }
        assert_eq!(Trace::of(None).id().len(), 32);
    }

    #[test]
    fn what_is_begun_or_gone_on_with_is_a_traceparent() {
        for _ in 0..100 {
            assert!(ids(&begun()).is_some());
            let child = child(GOOD);
            let ((trace, span), (before, parent)) = (ids(&child).unwrap(), ids(GOOD).unwrap());
            assert!(trace == before && span != parent && is_sampled(&child), "{child}");
        }
        assert!(ids(&child("nonsense")).is_some());
    }

    #[test]
    fn a_span_that_nobody_follows_still_goes_on_with_the_trace() {
        let told = adopt(&tracing::info_span!("work"), GOOD);
        assert_eq!(ids(&told).unwrap().0, "0af7651916cd43dd8448eb211c80319c");
    }
}
