//! A reader of a live stream, over a connection of its own that it may leave unread.

use futures::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use xagent_tests::PATIENCE;

use super::Api;

/// Server-sent events.
pub struct Live {
    stream: BufReader<TcpStream>,
    /// The last `id`.
    pub last: Option<u64>,
    pub status: u16,
}

/// What stands between two empty lines.
#[derive(Debug, Default)]
pub struct Block {
    pub event: Option<String>,
    pub data: Option<Value>,
    pub comment: bool,
}

pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Api {
    /// Opens a stream. A small buffer is full soon once nobody reads.
    pub async fn live(&self, query: &str, last: Option<u64>) -> Live {
        let address = self.url.strip_prefix("http://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
        let last_id = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        // Without chunks: what comes is the stream itself.
        let request = format!(
            "GET /v1/events/stream?{query} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n{last_id}\r\n",
            self.token
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut live = Live { stream: BufReader::new(stream), last, status: 0 };
        let head = live.line().await.unwrap();
        live.status = head.split(' ').nth(1).unwrap().parse().unwrap();
        while !live.line().await.unwrap().is_empty() {}
        live
    }

    /// The same over WebSocket.
    pub async fn socket(&self, query: &str) -> Socket {
        let url = format!("{}/v1/ws?{query}", self.url.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        Socket(connect_async(request).await.unwrap().0)
    }
}

impl Live {
    /// The next block, heartbeats and all; none where the connection is over.
    pub async fn block(&mut self) -> Option<Block> {
        let (mut block, mut id) = (Block::default(), None);
        loop {
            let line = self.line().await?;
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.trim_start();
            match name {
                "" if line.is_empty() => {
                    self.last = id.or(self.last);
                    return Some(block);
                }
                "" => block.comment = true,
                "id" => id = Some(value.parse().unwrap()),
                "event" => block.event = Some(value.to_owned()),
                "data" => block.data = Some(serde_json::from_str(value).unwrap()),
                _ => {}
            }
        }
    }

    /// The next event; none where the connection is over.
    pub async fn event(&mut self) -> Option<Value> {
        loop {
            let block = self.block().await?;
            assert_eq!(block.event, None, "{block:?}");
            if let Some(event) = block.data {
                assert_eq!(event["position"].as_u64(), self.last);
                return Some(event);
            }
        }
    }

    /// So many events.
    pub async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        let reading = async {
            while events.len() < count {
                events.push(self.event().await.unwrap());
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, reading).await;
        assert!(in_time.is_ok(), "{} of {count} events came", events.len());
        events
    }

    /// Why the stream ends, past whatever comes before that.
    pub async fn end(&mut self) -> Value {
        loop {
            let block = self.block().await.unwrap();
            if block.event.as_deref() == Some("end") {
                assert!(self.block().await.is_none(), "nothing comes behind the end");
                return block.data.unwrap();
            }
        }
    }

    /// The whole body of a refusal.
    pub async fn refusal(mut self) -> Value {
        let mut body = String::new();
        self.stream.read_to_string(&mut body).await.unwrap();
        serde_json::from_str(&body).unwrap()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.stream.read_line(&mut line)).await.unwrap();
        // A server that gives up resets the connection.
        let whole = read.is_ok() && line.ends_with('\n');
        whole.then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl Socket {
    /// The next message; none where the connection is over.
    pub async fn message(&mut self) -> Option<Value> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap() {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => {
                    let frame = frame.unwrap();
                    return Some(serde_json::json!({"close": u16::from(frame.code), "reason": frame.reason.as_str()}));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// So many events.
    pub async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            let message = self.message().await.unwrap();
            if message["position"].is_u64() {
                events.push(message);
            }
        }
        events
    }
}
