//! A web server on loopback that keeps what is put on it, as any object store does, and can be told to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Default)]
pub struct Shelf {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    texts: BTreeMap<String, String>,
    broken: bool,
    refused: usize,
    authorised: Vec<Option<String>>,
}

impl Shelf {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shelf = Self { port: listener.local_addr().unwrap().port(), ..Self::default() };
        let serving = shelf.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shelf = serving.clone();
                tokio::spawn(async move { shelf.answer(stream).await });
            }
        });
        shelf
    }

    /// Its address, with a password.
    pub fn url(&self) -> String {
        format!("http://auditor:s3cr3t-word@127.0.0.1:{}/ledger", self.port)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.state.lock().unwrap().texts.get(&format!("/ledger/{name}")).cloned()
    }

    pub fn names(&self) -> Vec<String> {
        self.state.lock().unwrap().texts.keys().cloned().collect()
    }

    /// From now on it answers 500, or no longer.
    pub fn break_down(&self, broken: bool) {
        self.state.lock().unwrap().broken = broken;
    }

    /// Requests it did not serve.
    pub fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }

    /// The `authorization` of the last request.
    pub fn last_authorisation(&self) -> Option<String> {
        self.state.lock().unwrap().authorised.last().cloned().flatten()
    }

    async fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(&mut stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line).await {
                Ok(length) if length > 2 => lines.push(line.trim_end().to_owned()),
                _ => break,
            }
        }
        let header = |name: &str| {
            let fits = |line: &&String| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
            lines.iter().find(fits).and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned())
        };
        let Some((method, path)) = lines.first().and_then(|first| first.split_once(' ')) else { return };
        let path = path.split(' ').next().unwrap_or_default().to_owned();
        let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
        if reader.read_exact(&mut body).await.is_err() {
            return;
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        let (status, text) = self.serve(method, path, body, header("authorization"), header("if-none-match").is_some());
        let length = text.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}");
        let _gone = stream.write_all(answer.as_bytes()).await;
    }

    fn serve(
        &self,
        method: &str,
        path: String,
        body: String,
        authorisation: Option<String>,
        only_new: bool,
    ) -> (&'static str, String) {
        let mut state = self.state.lock().unwrap();
        state.authorised.push(authorisation);
        if state.broken {
            state.refused += 1;
            return ("500 Internal Server Error", String::new());
        }
        match (method, state.texts.get(&path)) {
            ("GET", Some(text)) => ("200 OK", text.clone()),
            ("GET", None) => ("404 Not Found", String::new()),
            ("PUT", Some(_)) if only_new => ("412 Precondition Failed", String::new()),
            ("PUT", _) => {
                state.texts.insert(path, body);
                ("201 Created", String::new())
            }
            _ => ("405 Method Not Allowed", String::new()),
        }
    }
}
