//! A listener on loopback that nobody may reach: it counts who does.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[derive(Clone)]
pub struct Trap {
    pub port: u16,
    connections: Arc<AtomicUsize>,
}

impl Trap {
    /// On a free port of this address; what it answers is a whole HTTP response.
    pub async fn answering(address: &str, port: u16, answer: impl Into<String>) -> Self {
        let (address, answer): (IpAddr, String) = (address.parse().unwrap(), answer.into());
        let listener = TcpListener::bind((address, port)).await.unwrap();
        let trap = Self { port: listener.local_addr().unwrap().port(), connections: Arc::default() };
        let connections = trap.connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let _request = stream.read(&mut [0; 4096]).await;
                    let _gone = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        trap
    }

    pub async fn start() -> Self {
        Self::answering("127.0.0.1", 0, "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ncaught").await
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
