//! One connection of the scripted chat server: one request, one answer.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::script::{Answer, Fault, Script};
use super::{ChatRequest, Seen, reply};

/// Bytes of a request at most.
const LONGEST: usize = 16 * 1024 * 1024;

pub(super) async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<Script>>,
    seen: Arc<Mutex<Seen>>,
    released: watch::Receiver<bool>,
) {
    let Some((path, request)) = read(&mut stream).await else { return };
    // Whoever asked may be gone by now; then nobody is left to tell.
    let _gone = if path.ends_with("/chat/completions") {
        let answer = script.lock().unwrap().answer(&request.body);
        let (streams, model) = (request.body["stream"] == true, request.body["model"].clone());
        seen.lock().unwrap().requests.push(request);
        match answer {
            Answer::Fault(Fault::Stall {}) => {
                // Who waits in vain gives up some time.
                let gone = stream.read(&mut [0; 1]).await.map(drop);
                seen.lock().unwrap().given_up += 1;
                gone
            }
            Answer::HeldReply(said) => {
                let mut released = released;
                released.wait_for(|released| *released).await.map(drop).unwrap_or_default();
                write(&mut stream, Answer::Reply(said), streams, &model).await
            }
            answer => write(&mut stream, answer, streams, &model).await,
        }
    } else {
        respond(&mut stream, 404, "application/json", "{\"error\":{\"message\":\"no such route\"}}", "").await
    };
}

async fn read(stream: &mut TcpStream) -> Option<(String, ChatRequest)> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let (head, body) = loop {
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let wanted: usize = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        if wanted > LONGEST {
            return None;
        }
        if bytes.len() >= end + 4 + wanted {
            break (head, bytes[end + 4..end + 4 + wanted].to_vec());
        }
    };
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some((path, ChatRequest { authorization: header(&head, "authorization"), body }))
}

fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
}

async fn write(stream: &mut TcpStream, answer: Answer, streams: bool, model: &Value) -> std::io::Result<()> {
    match answer {
        Answer::Reply(said) if streams => {
            respond(stream, 200, "text/event-stream", &reply::stream(&said, model), "").await
        }
        Answer::Reply(said) => respond(stream, 200, "application/json", &reply::whole(&said, model), "").await,
        Answer::CutReply(said) => {
            let (kind, body) = if streams {
                ("text/event-stream", reply::stream(&said, model))
            } else {
                ("application/json", reply::whole(&said, model))
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body.as_bytes()[..body.len() / 2]).await
        }
        Answer::Fault(Fault::Status { code, retry_after, body }) => {
            let wait = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
            respond(stream, code, "application/json", &body.unwrap_or_default(), &wait).await
        }
        Answer::Fault(Fault::Body { content_type, text }) => respond(stream, 200, &content_type, &text, "").await,
        Answer::HeldReply(_) | Answer::Fault(Fault::Stall {} | Fault::Cut {} | Fault::Hold {}) => Ok(()),
        Answer::Fault(Fault::Endless {}) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await?;
            let delta = serde_json::json!({"choices": [{"delta": {"content": "la ".repeat(5000)}}]});
            let event = format!("data: {delta}\n\n");
            loop {
                stream.write_all(event.as_bytes()).await?;
            }
        }
    }
}

async fn respond(stream: &mut TcpStream, status: u16, kind: &str, body: &str, more: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{more}connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
