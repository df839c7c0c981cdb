//! What Loki 3 does with a push request, as far as a pusher can tell: it checks form, labels and structured metadata, takes
//! what is fit, refuses what is too old or too far behind, and takes a repeated entry for the same one.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use xagent_ledger::Clock;
use xagent_tests::Now;

const HOUR_NS: i64 = 3600 * 1_000_000_000;
/// `max_line_size`.
const LONGEST_LINE: usize = 256 * 1024;

/// How it is disposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Well,
    /// 429 with `Retry-After`.
    Busy,
    /// 500.
    Broken,
    /// 400 for the entry of this position; it takes the others.
    Refuses(String),
}

/// An entry it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub at_ns: i64,
    pub labels: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, String>,
    pub line: String,
}

#[derive(Default)]
struct Inner {
    mood: Mood,
    streams: BTreeMap<BTreeMap<String, String>, BTreeMap<(i64, String), BTreeMap<String, String>>>,
    /// Entries that came once more.
    repeated: usize,
    /// Requests by the status they were answered with.
    answered: BTreeMap<u16, usize>,
    /// What was not as the protocol has it.
    faults: Vec<String>,
}

pub struct LokiReceiver {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    stream: BTreeMap<String, String>,
    values: Vec<(String, String, BTreeMap<String, String>)>,
}

impl LokiReceiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut receiver = Self { address, inner: Arc::default(), serving: None };
        receiver.serve(listener);
        receiver
    }

    fn serve(&mut self, listener: TcpListener) {
        let routes = Router::new().route("/loki/api/v1/push", post(push)).with_state(self.inner.clone());
        self.serving = Some(tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() }));
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes away: nobody listens any more.
    pub async fn leave(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
    }

    /// Is there again, at the same address, with all it had.
    pub async fn come_back(&mut self) {
        let listener =
            xagent_tests::until("the address is free again", async || TcpListener::bind(self.address).await.ok());
        let listener = listener.await;
        self.serve(listener);
    }

    pub fn be(&self, mood: Mood) {
        self.inner.lock().unwrap().mood = mood;
    }

    /// All entries in order of time.
    pub fn kept(&self) -> Vec<Kept> {
        let inner = self.inner.lock().unwrap();
        assert!(inner.faults.is_empty(), "{:#?}", inner.faults);
        let mut kept: Vec<Kept> = Vec::new();
        for (labels, entries) in &inner.streams {
            kept.extend(entries.iter().map(|((at_ns, line), metadata)| Kept {
                at_ns: *at_ns,
                labels: labels.clone(),
                metadata: metadata.clone(),
                line: line.clone(),
            }));
        }
        kept.sort_by_key(|entry| entry.at_ns);
        kept
    }

    pub fn repeated(&self) -> usize {
        self.inner.lock().unwrap().repeated
    }

    /// How many requests were answered with this status.
    pub fn answered(&self, status: u16) -> usize {
        self.inner.lock().unwrap().answered.get(&status).copied().unwrap_or(0)
    }
}

async fn push(State(inner): State<Arc<Mutex<Inner>>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut inner = inner.lock().unwrap();
    let response = inner.take(&headers, &body);
    *inner.answered.entry(response.status().as_u16()).or_default() += 1;
    response
}

impl Inner {
    fn take(&mut self, headers: &HeaderMap, body: &[u8]) -> Response {
        match self.mood {
            Mood::Busy => return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "rate limit").into_response(),
            Mood::Broken => return (StatusCode::INTERNAL_SERVER_ERROR, "no such luck").into_response(),
            Mood::Well | Mood::Refuses(_) => {}
        }
        let pushed = parsed(headers, body).inspect_err(|fault| self.faults.push(fault.clone()));
        let Ok(pushed) = pushed else { return StatusCode::BAD_REQUEST.into_response() };
        let mut refused = Vec::new();
        for Stream { stream, values } in pushed.streams {
            for (at, line, metadata) in values {
                if let Err(fault) = strict(&stream, &at, &line, &metadata) {
                    self.faults.push(fault);
                    continue;
                }
                refused.extend(self.keep(&stream, at.parse().unwrap(), line, metadata).err());
            }
        }
        match refused.first() {
            None => StatusCode::NO_CONTENT.into_response(),
            Some(first) => (StatusCode::BAD_REQUEST, format!("{first}, {} ignored", refused.len())).into_response(),
        }
    }

    fn keep(
        &mut self,
        stream: &BTreeMap<String, String>,
        at_ns: i64,
        line: String,
        metadata: BTreeMap<String, String>,
    ) -> Result<(), String> {
        if matches!(&self.mood, Mood::Refuses(position) if metadata.get("position") == Some(position)) {
            return Err(format!("entry at {at_ns} refused"));
        }
        let entries = self.streams.entry(stream.clone()).or_default();
        let newest = entries.last_key_value().map_or(i64::MIN, |((at_ns, _), _)| *at_ns);
        if at_ns < Now.now_us() * 1000 - 7 * 24 * HOUR_NS {
            return Err("timestamp too old".to_owned());
        }
        if at_ns < newest.saturating_sub(HOUR_NS) {
            return Err("entry too far behind".to_owned());
        }
        self.repeated += usize::from(entries.insert((at_ns, line), metadata).is_some());
        Ok(())
    }
}

fn parsed(headers: &HeaderMap, body: &[u8]) -> Result<Push, String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("content-type") != "application/json" || header("content-encoding") != "gzip" {
        return Err(format!("{headers:?}"));
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let push: Push = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    let distinct: std::collections::BTreeSet<_> = push.streams.iter().map(|stream| &stream.stream).collect();
    let each_once = distinct.len() == push.streams.len() && push.streams.iter().all(|s| !s.values.is_empty());
    if each_once { Ok(push) } else { Err(format!("streams that are empty or there twice: {text}")) }
}

/// What this system promises of each entry, beyond what Loki asks for.
fn strict(
    labels: &BTreeMap<String, String>,
    at: &str,
    line: &str,
    metadata: &BTreeMap<String, String>,
) -> Result<(), String> {
    let names: Vec<_> = labels.keys().map(String::as_str).collect();
    if names != ["event_type", "job", "level", "tenant"] {
        return Err(format!("labels {names:?}"));
    }
    if at.parse::<i64>().is_err() || line.len() > LONGEST_LINE {
        return Err(format!("an entry of {} bytes at `{at}`", line.len()));
    }
    let known = ["run_id", "decision_id", "trace_id", "span_id", "position"];
    if let Some(other) = metadata.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("metadata `{other}`"));
    }
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else { return Err(format!("no JSON object: {line}")) };
    let twice = fields.keys().find(|name| labels.contains_key(*name) || metadata.contains_key(*name));
    twice.map_or(Ok(()), |name| Err(format!("`{name}` stands in two places")))
}
