//! A server that speaks the chat completions protocol over a real socket and answers by a script: rules over the messages it
//! receives, replies whole or streamed, and faults.

mod http;
mod reply;
mod script;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use script::Script;

/// A request the server received.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// Its `authorization` header.
    pub authorization: Option<String>,
    /// Its body.
    pub body: Value,
}

/// What a server has seen.
#[derive(Default)]
struct Seen {
    requests: Vec<ChatRequest>,
    /// Requests whose sender gave up waiting.
    given_up: usize,
}

/// A running server. It stops when it is dropped.
pub struct ChatServer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    released: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ChatServer {
    /// Answers by `script` on a free port of loopback.
    pub async fn start(script: Script) -> Self {
        Self::on("127.0.0.1:0".parse().unwrap(), script).await
    }

    /// The same on this address.
    pub async fn on(address: SocketAddr, script: Script) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        let (released, release) = watch::channel(false);
        let (script, watched) = (Arc::new(Mutex::new(script)), seen.clone());
        let task = tokio::spawn(async move {
            // Dropped with this task, so that open connections end with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                connections.spawn(http::serve(stream, script.clone(), watched.clone(), release.clone()));
            }
        });
        Self { address, seen, released, task }
    }

    /// The base of its API.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it received so far.
    pub fn requests(&self) -> Vec<ChatRequest> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// How many requests it received.
    pub fn hits(&self) -> usize {
        self.seen.lock().unwrap().requests.len()
    }

    /// How many requests were given up by who sent them.
    pub fn given_up(&self) -> usize {
        self.seen.lock().unwrap().given_up
    }

    /// Lets replies that are held go.
    pub fn release(&self) {
        self.released.send_replace(true);
    }

    /// Stops it, open connections included.
    pub async fn stop(self) {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for ChatServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
