//! The load: connections that are kept, each of which asks again as soon as it was answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What one contestant did in all its turns.
#[derive(Default)]
pub struct Figures {
    seconds: f64,
    /// Milliseconds of each answer.
    times: Vec<f64>,
}

impl Figures {
    pub fn add(&mut self, turn: Figures) {
        self.seconds += turn.seconds;
        self.times.extend(turn.times);
        self.times.sort_by(f64::total_cmp);
    }

    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    /// The time that so many percent of the answers stay within.
    pub fn percentile(&self, percent: usize) -> f64 {
        self.times[self.times.len() * percent / 100]
    }
}

type Connection = SendRequest<Full<Bytes>>;

/// Asks on so many connections for `time`; `request` is told the connection and how often it has asked before. Each answer
/// must have this status and contain `sign`.
pub async fn drive<R>(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    (status, sign): (StatusCode, &'static str),
    request: R,
) -> Figures
where
    R: Fn(usize, u64) -> Request<Full<Bytes>> + Send + Sync + 'static,
{
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(connect(address).await);
    }
    let request = Arc::new(request);
    let begin = Instant::now();
    let tasks = open.into_iter().enumerate().map(|(number, mut connection)| {
        let request = request.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            while begin.elapsed() < time {
                let asked = Instant::now();
                let (found, body) = ask(&mut connection, request(number, times.len() as u64)).await;
                times.push(asked.elapsed().as_secs_f64() * 1000.0);
                let text = String::from_utf8_lossy(&body);
                assert!(found == status && text.contains(sign), "{found}: {text}");
            }
            times
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    Figures { seconds: begin.elapsed().as_secs_f64(), times }
}

async fn connect(address: SocketAddr) -> Connection {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(connection: &mut Connection, request: Request<Full<Bytes>>) -> (StatusCode, Bytes) {
    connection.ready().await.unwrap();
    let answer = connection.send_request(request).await.unwrap();
    let status = answer.status();
    (status, answer.into_body().collect().await.unwrap().to_bytes())
}

/// A POST of JSON.
pub fn post(path: &str, body: impl Into<Bytes>, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let request = Request::post(path).header("host", "localhost").header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Full::new(body.into())).unwrap()
}
