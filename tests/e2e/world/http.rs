//! A web server on loopback that answers when it is told to, and counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub struct SlowServer {
    pub port: u16,
    hits: Arc<AtomicUsize>,
    open: watch::Sender<bool>,
}

impl SlowServer {
    /// Counts requests and lets them wait until it is opened.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, opened) = watch::channel(false);
        let hits = Arc::new(AtomicUsize::new(0));
        let counted = hits.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (counted, mut opened) = (counted.clone(), opened.clone());
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    if stream.read(&mut request).await.unwrap_or(0) > 0 {
                        counted.fetch_add(1, Ordering::SeqCst);
                        opened.wait_for(|open| *open).await.map(drop).unwrap_or_default();
                        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                    }
                });
            }
        });
        Self { port, hits, open }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }
}
