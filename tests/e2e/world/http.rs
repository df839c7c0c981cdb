//! A web server on loopback that answers when it is told to, and counts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub struct SlowServer {
    pub port: u16,
    hits: Arc<Mutex<Vec<String>>>,
    /// Requests under way, and the most that were at once.
    under_way: Arc<Mutex<(usize, usize)>>,
    open: watch::Sender<bool>,
}

impl SlowServer {
    /// Counts requests and lets them wait until it is opened.
    pub async fn start() -> Self {
        Self::taking(Duration::ZERO).await
    }

    /// The same, and each answer takes its time.
    pub async fn taking(time: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, opened) = watch::channel(false);
        let hits = Arc::<Mutex<Vec<String>>>::default();
        let under_way = Arc::<Mutex<(usize, usize)>>::default();
        let (counted, at_once) = (hits.clone(), under_way.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (counted, at_once, mut opened) = (counted.clone(), at_once.clone(), opened.clone());
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    let length = stream.read(&mut request).await.unwrap_or(0);
                    if length > 0 {
                        let text = String::from_utf8_lossy(&request[..length]).into_owned();
                        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                        counted.lock().unwrap().push(path);
                        begun(&at_once);
                        opened.wait_for(|open| *open).await.map(drop).unwrap_or_default();
                        tokio::time::sleep(time).await;
                        at_once.lock().unwrap().0 -= 1;
                        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                    }
                });
            }
        });
        Self { port, hits, under_way, open }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// How many requests there were.
    pub fn hits(&self) -> usize {
        self.hits.lock().unwrap().len()
    }

    /// How many requests there were for this path.
    pub fn hits_of(&self, path: &str) -> usize {
        self.hits.lock().unwrap().iter().filter(|hit| *hit == path).count()
    }

    /// The most requests that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.under_way.lock().unwrap().1
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

fn begun(under_way: &Mutex<(usize, usize)>) {
    let mut under_way = under_way.lock().unwrap();
    under_way.0 += 1;
    under_way.1 = under_way.1.max(under_way.0);
}
