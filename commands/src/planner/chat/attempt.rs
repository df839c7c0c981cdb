//! One request to a model's server, and what came of it.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use xagent_ledger::Clock;

use super::sse::Events;
use super::wire::{Deltas, Received, whole};
use super::{Asked, ModelServer};
use crate::SystemClock;

/// Bytes of a reply read at most, framing included.
const LONGEST: usize = 4 * 1024 * 1024;
/// Bytes of what came instead of a reply that are kept.
const KEPT: usize = 4096;

/// Why an attempt brought no reply.
#[derive(Debug)]
pub(super) enum Failure {
    /// The next attempt may go well, not before the pause the server asks for.
    Passing { reason: String, wait: Option<Duration> },
    /// The server says that no attempt will.
    Refused(String),
    /// Something came that is no reply.
    Malformed { reason: String, received: String },
}

impl ModelServer {
    pub(super) async fn attempt(&self, asked: &Asked<'_>) -> Result<Received, Failure> {
        let accept = if asked.chat.stream { "text/event-stream" } else { "application/json" };
        let mut request = self.client.post(self.completions.clone()).header(ACCEPT, accept);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let body = asked.body.as_str().to_owned();
        let response = request.header(CONTENT_TYPE, "application/json").body(body).send().await;
        let response = response.map_err(|error| passing(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refused(status, response).await);
        }
        let content_type = header(&response, CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        match content_type.split(';').next().unwrap_or_default().trim() {
            "text/event-stream" => self.stream(response).await,
            "application/json" => self.body(response).await,
            other => {
                let reason = format!("it is of the content type `{}`", self.fit(other));
                let received = read(response, KEPT).await.0;
                Err(Failure::Malformed { reason, received: self.text(&received) })
            }
        }
    }

    async fn body(&self, response: Response) -> Result<Received, Failure> {
        let (body, ended) = read(response, LONGEST).await;
        match ended {
            Ended::Whole => whole(&body)
                .map_err(|reason| Failure::Malformed { reason: self.fit(&reason), received: self.text(&body) }),
            Ended::TooLong => Err(self.too_long(&body)),
            Ended::Broken(reason) => Err(Failure::Passing { reason, wait: None }),
        }
    }

    async fn stream(&self, mut response: Response) -> Result<Received, Failure> {
        let (mut events, mut deltas) = (Events::default(), Deltas::default());
        let (mut began, mut bytes) = (Vec::new(), 0);
        let cut = || Failure::Passing { reason: "the stream broke off before its end".to_owned(), wait: None };
        while let Some(chunk) = response.chunk().await.map_err(|error| passing(&error))? {
            bytes += chunk.len();
            began.extend_from_slice(&chunk[..chunk.len().min(KEPT.saturating_sub(began.len()))]);
            if bytes > LONGEST {
                return Err(self.too_long(&began));
            }
            let malformed =
                |reason: String| Failure::Malformed { reason: self.fit(&reason), received: self.text(&began) };
            for data in events.push(&chunk).map_err(malformed)? {
                if deltas.push(&data).map_err(malformed)? {
                    return deltas.end().ok_or_else(cut);
                }
            }
        }
        deltas.end().ok_or_else(cut)
    }

    async fn refused(&self, status: StatusCode, response: Response) -> Failure {
        let wait = header(&response, RETRY_AFTER).and_then(|text| wait(&text, SystemClock.now_us()));
        let passes = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY);
        // What a server says about a key may hold parts of it.
        let says_why = !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let body = if says_why { read(response, KEPT).await.0 } else { Vec::new() };
        let reason =
            format!("the model's server answers {} {}", status.as_u16(), self.fit(&String::from_utf8_lossy(&body)));
        let reason = reason.trim_end().to_owned();
        if passes { Failure::Passing { reason, wait } } else { Failure::Refused(reason) }
    }

    fn too_long(&self, began: &[u8]) -> Failure {
        Failure::Malformed { reason: format!("it is longer than {LONGEST} bytes"), received: self.text(began) }
    }

    /// How something began, as text for the record.
    fn text(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT)]);
        self.options.key.as_ref().map_or_else(|| text.clone().into_owned(), |key| key.hidden_in(&text))
    }
}

enum Ended {
    Whole,
    TooLong,
    Broken(String),
}

async fn read(mut response: Response, most: usize) -> (Vec<u8>, Ended) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = most.saturating_sub(body.len());
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return (body, Ended::TooLong);
                }
            }
            Ok(None) => return (body, Ended::Whole),
            Err(error) => return (body, Ended::Broken(shown(&error))),
        }
    }
}

fn passing(error: &reqwest::Error) -> Failure {
    Failure::Passing { reason: shown(error), wait: None }
}

fn shown(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "the model's server was silent for too long"
    } else if error.is_connect() {
        "the model's server cannot be reached"
    } else {
        "the connection to the model's server broke off"
    };
    what.to_owned()
}

fn header(response: &Response, name: reqwest::header::HeaderName) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// How long `Retry-After` asks to wait (RFC 9110 section 10.2.3): seconds, or until a date.
fn wait(text: &str, now_us: i64) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?.timestamp_micros();
    Some(Duration::from_micros(u64::try_from(until.saturating_sub(now_us)).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_ask_to_wait_for_seconds_or_until_a_date() {
        assert_eq!(wait("7", 0), Some(Duration::from_secs(7)));
        assert_eq!(wait("Thu, 01 Jan 1970 00:01:00 GMT", 1_000_000), Some(Duration::from_secs(59)));
        assert_eq!(wait("Thu, 01 Jan 1970 00:01:00 GMT", 100_000_000), Some(Duration::ZERO));
        assert_eq!(wait("soon", 0), None);
    }
}
