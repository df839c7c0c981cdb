//! A span for each request: it goes on with the caller's trace, and everything the request brings about goes on with it.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

/// Carries a request out in a span of its own. Whatever reads `traceparent` behind it reads the span's.
pub async fn traced(mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let method = request.method().as_str();
    // Names of OpenTelemetry's conventions for HTTP servers; no path, no query, no header: they may hold anything.
    let span = tracing::info_span!(
        "request",
        "otel.name" = format!("{method} {route}"),
        "otel.kind" = "server",
        "otel.status_code" = tracing::field::Empty,
        "http.request.method" = method,
        "http.route" = route,
        "http.response.status_code" = tracing::field::Empty,
    );
    let given = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let traceparent = xagent_trace::adopt(&span, given);
    if let Ok(value) = traceparent.parse() {
        request.headers_mut().insert("traceparent", value);
    }
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    span.in_scope(|| match response.status().is_server_error() {
        true => {
            span.record("otel.status_code", "ERROR");
            tracing::warn!(status, "request.failed");
        }
        false => tracing::debug!(status, "request.answered"),
    });
    response
}
