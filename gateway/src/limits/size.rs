//! The size of a request's head. What does not even fit into the connection's buffer is refused there, without a word.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_server::ConnectionShutdown;

use super::{HEADER_BYTES, HEADERS, TARGET_BYTES};
use crate::problem::{Problem, ProblemType};
use crate::trace::Trace;

/// Lets a request pass whose head is not too large, and gives it a trace where it has none.
pub async fn sized(mut request: Request, next: Next) -> Response {
    if request.version() > Version::HTTP_11 {
        return other_version(&request);
    }
    let trace = Trace::of(request.headers().get("traceparent").and_then(|value| value.to_str().ok()));
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_BYTES {
        let detail = format!("path and query have {target} bytes: {TARGET_BYTES} at most are taken");
        return Problem::new(ProblemType::TargetTooLong, detail).traced(&trace).into_response();
    }
    let (count, bytes) = (request.headers().len(), bytes(request.headers()));
    if count > HEADERS || bytes > HEADER_BYTES {
        let detail = format!("{count} headers of {bytes} bytes: {HEADERS} of {HEADER_BYTES} bytes at most are taken");
        return Problem::new(ProblemType::HeadersTooLarge, detail).traced(&trace).into_response();
    }
    // Whatever reads it from here on reads the same trace.
    if let Ok(value) = trace.traceparent.parse() {
        request.headers_mut().insert("traceparent", value);
    }
    next.run(request).await
}

/// HTTP/2 is not spoken here: its connections are bounded by other means than those that are in force.
fn other_version(request: &Request) -> Response {
    if let Some(connection) = request.extensions().get::<ConnectionShutdown>() {
        connection.graceful_shutdown();
    }
    (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 is spoken here\n").into_response()
}

fn bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
