//! `GET /v1/ws`: the same stream over WebSocket (RFC 6455). Each message is an event, a heartbeat or the end.

use axum::body::Bytes;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use super::filter::Wish;
use super::open::open;
use super::patient::Peer;
use super::reader::{End, Reader, Said};
use crate::problem::Problem;
use crate::rest::Doors;
use crate::rest::extract::{Calling, Parameters, invalid};
use crate::rest::openapi::{LastEvent, Lookup};

/// A client has nothing to say but pings and its goodbye.
const LONGEST_MESSAGE: usize = 4096;

/// Follow events (WebSocket)
///
/// Those of the caller's tenant as they are committed; each message is an event, a heartbeat or the end.
#[utoipa::path(
    get, path = "/v1/ws", operation_id = "stream_events_ws", tag = "Live",
    params(LastEvent, Parameters<Wish>),
    responses((status = 101, description = "The connection is a WebSocket from here on (RFC 6455)."), Lookup),
)]
pub async fn events(
    State(doors): State<Doors>,
    calling: Calling,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    Parameters(wish): Parameters<Wish>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| calling.problem(invalid("Upgrade", &error.body_text())))?;
    let reader = open(&doors, &calling, wish, &headers, peer).await.map_err(|problem| calling.problem(problem))?;
    Ok(upgrade.max_message_size(LONGEST_MESSAGE).on_upgrade(move |socket| tell(socket, reader)))
}

/// Until the stream ends, the client leaves, or it takes nothing any more: then writing fails.
async fn tell(mut socket: WebSocket, mut reader: Reader) {
    let mut message = heartbeat(reader.after() + 1);
    while socket.send(message).await.is_ok() {
        let Some(said) = next(&mut socket, &mut reader).await else { return };
        message = match said {
            Said::Event(item) => text(item.json()),
            Said::Heartbeat(from) => heartbeat(from),
            Said::End(end) => return part(socket, &end).await,
        };
    }
}

async fn next(socket: &mut WebSocket, reader: &mut Reader) -> Option<Said> {
    loop {
        tokio::select! {
            said = reader.next() => return Some(said),
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }
}

async fn part(mut socket: WebSocket, end: &End) {
    let code = match end.reason {
        "server_stopping" => close_code::AWAY,
        "token_expired" | "law_changed" => close_code::POLICY,
        _ => close_code::ERROR,
    };
    let close = CloseFrame { code, reason: Utf8Bytes::from_static(end.reason) };
    if socket.send(Message::Text(json!({"end": end}).to_string().into())).await.is_ok() {
        let _ = socket.send(Message::Close(Some(close))).await;
    }
}

fn heartbeat(from: u64) -> Message {
    Message::Text(json!({"heartbeat": {"from": from}}).to_string().into())
}

fn text(json: Bytes) -> Message {
    // It was made from a text.
    Utf8Bytes::try_from(json).map_or_else(|_| Message::Close(None), Message::Text)
}
