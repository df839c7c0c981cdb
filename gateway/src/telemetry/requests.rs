//! Requests, counted by their route; never by their path, which has no bound.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const REQUESTS: &str = "xagent_http_requests_total";
const SECONDS: &str = "xagent_http_request_seconds";
const UNDER_WAY: &str = "xagent_http_requests_under_way";
/// The route of a request that meets none.
const NO_ROUTE: &str = "none";

pub(super) fn describe() {
    describe_counter!(REQUESTS, "Requests answered, by method, route and status");
    describe_histogram!(SECONDS, Unit::Seconds, "From a request to the head of its answer, by route");
    describe_gauge!(UNDER_WAY, "Requests under way");
}

/// One less, however the request ends.
struct UnderWay;

impl Drop for UnderWay {
    fn drop(&mut self) {
        gauge!(UNDER_WAY).decrement(1.0);
    }
}

/// Counts a request.
pub async fn counted(request: Request, next: Next) -> Response {
    let method = match request.method().as_str() {
        known @ ("GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| NO_ROUTE.to_owned(), |path| path.as_str().to_owned());
    let begin = Instant::now();
    gauge!(UNDER_WAY).increment(1.0);
    let _under_way = UnderWay;
    let answer = next.run(request).await;
    histogram!(SECONDS, "route" => route.clone()).record(begin.elapsed().as_secs_f64());
    let status = answer.status().as_str().to_owned();
    counter!(REQUESTS, "method" => method, "route" => route, "status" => status).increment(1);
    answer
}
