//! `GET /v1/events/stream`: server-sent events (HTML Living Standard, section 9.2).

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use rand::Rng;

use super::filter::Wish;
use super::open::open;
use super::patient::Peer;
use super::reader::{Reader, Said};
use crate::problem::Problem;
use crate::rest::Doors;
use crate::rest::extract::{Calling, Parameters};
use crate::rest::openapi::{LastEvent, Lookup};

/// Follow events (server-sent events)
///
/// Those of the caller's tenant as they are committed; `id` is the position. The read itself is recorded.
#[utoipa::path(
    get, path = "/v1/events/stream", operation_id = "stream_events", tag = "Live",
    params(LastEvent, Parameters<Wish>),
    responses((status = 200, description = "Events without end.", body = String, content_type = "text/event-stream"), Lookup),
)]
pub async fn events(
    State(doors): State<Doors>,
    calling: Calling,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    Parameters(wish): Parameters<Wish>,
) -> Result<Response, Problem> {
    let reader = open(&doors, &calling, wish, &headers, peer).await.map_err(|problem| calling.problem(problem))?;
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // nginx would hold events back.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, Body::from_stream(told(reader))).into_response())
}

enum Turn {
    Begin(Reader),
    On(Reader),
    Over,
}

fn told(reader: Reader) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Turn::Begin(reader), async |turn| {
        let (frame, turn) = match turn {
            Turn::Begin(reader) => (beginning(reader.after()), Turn::On(reader)),
            Turn::On(mut reader) => match reader.next().await {
                Said::Event(item) => (item.frame(), Turn::On(reader)),
                Said::Heartbeat(from) => (Bytes::from(format!(": heartbeat\nid: {}\n\n", from - 1)), Turn::On(reader)),
                Said::End(end) => {
                    let data = serde_json::to_string(&end).unwrap_or_default();
                    (Bytes::from(format!("event: end\nid: {}\ndata: {data}\n\n", end.from - 1)), Turn::Over)
                }
            },
            Turn::Over => return None,
        };
        Some((Ok(frame), turn))
    })
}

/// Where it begins, so that a client cut off before the first event resumes from here; and when to come back, not all at
/// the same moment.
fn beginning(after: u64) -> Bytes {
    let retry_ms = rand::rng().random_range(1000..3000);
    Bytes::from(format!("retry: {retry_ms}\nid: {after}\n\n"))
}
