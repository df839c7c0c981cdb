//! Loki's push API: `POST /loki/api/v1/push`, JSON, gzip, structured metadata (Loki 3, schema v13).
//!
//! Loki takes an entry that it has already for the same one: same stream, same timestamp, same line. Queries for lines show
//! it once; `count_over_time` may count it twice where the first is out of Loki's head block. So nothing is sent twice without
//! need: what is known to be refused is not sent, and a refused request, of which Loki has taken what was fit, is rare.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde::Serialize;
use url::Url;

use super::entry::{Entry, Metadata};
use super::target::{AuditError, Sent, Target};

const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(15);
/// So much of an answer is read.
const LONGEST_ANSWER: usize = 4096;

/// Where Loki is, and how it is spoken to.
#[derive(Clone)]
pub struct LokiOptions {
    /// Its address, for example `http://loki:3100`; may hold a user and a password.
    pub url: String,
    /// Its tenant (`X-Scope-OrgID`), where it has tenants.
    pub tenant: Option<String>,
    /// The bearer token, where it asks for one.
    pub token: Option<String>,
    /// The label `job`.
    pub job: String,
    /// How old events may be (Loki's `reject_old_samples_max_age`, a week unless configured).
    pub max_age: Duration,
    /// How long a line may be (Loki's `max_line_size`, 256 KiB unless configured).
    pub max_line_bytes: usize,
}

/// Loki as a target of the audit trail.
pub struct Loki {
    http: Client,
    push: Url,
    options: LokiOptions,
}

#[derive(Serialize)]
struct Push<'a> {
    streams: Vec<Stream<'a>>,
}

#[derive(Serialize)]
struct Stream<'a> {
    stream: Labels<'a>,
    values: Vec<(String, &'a str, &'a Metadata)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Labels<'a> {
    job: &'a str,
    tenant: &'a str,
    event_type: &'a str,
    level: &'a str,
}

impl Loki {
    /// At its address, which is not looked at before there is something to send.
    pub fn new(options: LokiOptions) -> Result<Self, AuditError> {
        let expected = "Loki's address is expected like http://loki:3100";
        let misconfigured = || AuditError::Misconfigured(expected.to_owned());
        let mut push = Url::parse(&options.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let push = push.as_mut().filter(|url| url.has_host()).ok_or_else(misconfigured)?;
        push.set_path(&format!("{}/loki/api/v1/push", push.path().trim_end_matches('/')));
        push.set_query(None);
        Ok(Self { http: client(CONNECT, ANSWER)?, push: push.clone(), options })
    }

    async fn post(&self, body: Vec<u8>) -> Sent {
        let mut request = self.http.post(self.push.clone());
        if let Some(tenant) = &self.options.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        if let Some(token) = &self.options.token {
            request = request.bearer_auth(token);
        }
        let request = request.header(CONTENT_TYPE, "application/json").header(CONTENT_ENCODING, "gzip").body(body);
        match request.send().await {
            Ok(response) => judged(response).await,
            Err(error) => Sent::Later(error.without_url().to_string(), None),
        }
    }
}

/// A client that follows no redirection: whatever is there is not Loki.
pub(super) fn client(connect: Duration, answer: Duration) -> Result<Client, AuditError> {
    let client = Client::builder().connect_timeout(connect).timeout(answer).redirect(Policy::none()).build();
    client.map_err(|error| AuditError::Misconfigured(error.without_url().to_string()))
}

/// What an answer means. Where keys or addresses are wrong nothing is given up: somebody will mend them.
pub(super) async fn judged(response: Response) -> Sent {
    let status = response.status();
    if status.is_success() {
        return Sent::Stored;
    }
    let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let said = format!("{status}: {}", words(response).await);
    match status {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Sent::Refused(said)
        }
        _ => Sent::Later(said, wait.map(Duration::from_secs)),
    }
}

/// The beginning of an answer, on one line.
async fn words(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST_ANSWER {
            bytes.truncate(LONGEST_ANSWER);
            break;
        }
    }
    String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The request's body: entries by stream, in order.
fn body(job: &str, entries: &[Entry]) -> Result<Vec<u8>, std::io::Error> {
    let mut streams: BTreeMap<Labels<'_>, Vec<(String, &str, &Metadata)>> = BTreeMap::new();
    for entry in entries {
        let Entry { tenant, event_type, level, .. } = entry;
        let labels = Labels { job, tenant, event_type, level: level.as_str() };
        streams.entry(labels).or_default().push((entry.at_ns.to_string(), &entry.line, &entry.metadata));
    }
    let streams = streams.into_iter().map(|(stream, values)| Stream { stream, values }).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&serde_json::to_vec(&Push { streams })?)?;
    gzip.finish()
}

impl Target for Loki {
    const READER: &'static str = "audit/loki";
    const NAME: &'static str = "loki";

    fn unfit(&self, entry: &Entry, now_us: i64) -> Option<&'static str> {
        let age_us = i64::try_from(self.options.max_age.as_micros()).unwrap_or(i64::MAX);
        if entry.at_ns / 1000 < now_us.saturating_sub(age_us) {
            return Some("too_old");
        }
        (entry.line.len() > self.options.max_line_bytes).then_some("too_long")
    }

    async fn send(&self, entries: &[Entry]) -> Sent {
        match body(&self.options.job, entries) {
            Ok(body) => self.post(body).await,
            Err(error) => Sent::Refused(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use serde_json::{Value, json};

    use super::super::entry::tests::event;
    use super::*;

    fn options(url: &str) -> LokiOptions {
        let (url, job) = (url.to_owned(), "xagent".to_owned());
        LokiOptions { url, tenant: None, token: None, job, max_age: Duration::from_secs(60), max_line_bytes: 400 }
    }

    #[test]
    fn entries_go_by_stream_in_order_with_texts_alone_for_metadata() {
        let entries: Vec<_> = [(1, "GoalSet"), (2, "RunFailed"), (3, "GoalSet")]
            .map(|(at, kind)| Entry::of(&event(at, kind, "{}"), at as i64).unwrap())
            .into();
        let mut text = String::new();
        let zipped = body("xagent", &entries).unwrap();
        flate2::read::GzDecoder::new(zipped.as_slice()).read_to_string(&mut text).unwrap();
        let said: Value = serde_json::from_str(&text).unwrap();
        let labels =
            |kind: &str, level: &str| json!({"job": "xagent", "tenant": "acme", "event_type": kind, "level": level});
        let metadata = |position: &str| {
            json!({"run_id": "run_1", "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
                   "position": position})
        };
        let value = |at: &str, place: usize| json!([at, entries[place].line, metadata(at)]);
        let goals = json!({"stream": labels("GoalSet", "info"), "values": [value("1", 0), value("3", 2)]});
        let failed = json!({"stream": labels("RunFailed", "error"), "values": [value("2", 1)]});
        assert_eq!(said, json!({"streams": [goals, failed]}));
    }

    #[test]
    fn what_loki_would_refuse_is_known_beforehand() {
        let loki = Loki::new(options("http://loki")).unwrap();
        let at = 1_790_000_000_000_001;
        let unfit = |payload: &str, now_us: i64| {
            loki.unfit(&Entry::of(&event(1, "GoalSet", payload), at * 1000 + 7).unwrap(), now_us)
        };
        assert_eq!((unfit("{}", at), unfit("{}", at + 60_000_000)), (None, None));
        assert_eq!(unfit("{}", at + 60_000_001), Some("too_old"));
        assert_eq!(unfit(&format!("\"{}\"", "x".repeat(200)), at), Some("too_long"));
    }

    #[test]
    fn the_push_path_comes_behind_whatever_path_there_is() {
        let push = |url: &str| Loki::new(options(url)).map(|loki| loki.push.to_string());
        assert_eq!(push("http://loki:3100").unwrap(), "http://loki:3100/loki/api/v1/push");
        assert_eq!(push("https://a:b@x.org/logs/").unwrap(), "https://a:b@x.org/logs/loki/api/v1/push");
        for wrong in ["loki:3100", "", "file:///x", "http://"] {
            assert!(push(wrong).is_err(), "{wrong}");
        }
    }
}
