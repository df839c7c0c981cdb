//! Asking OPA one question, until it answers from the right bundle. The caller bounds the time.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use xagent_domain::{CanonicalJson, Digest, Entrypoint, FailureClass, Outcome};
use xagent_policies::answer::failure;

use crate::answer::{Answer, read};

/// A larger answer is none.
const LARGEST: usize = 1024 * 1024;
/// How often a question is sent again when its connection broke: OPA may have been restarted behind a kept one.
const BROKEN: u32 = 1;

/// A question on its way.
pub(crate) struct Question<'a> {
    pub http: &'a Client,
    pub url: &'a str,
    pub bundle: &'a Digest,
    pub entrypoint: &'a Entrypoint,
    pub input: &'a CanonicalJson,
    /// What there is to say when the time is up.
    pub last: Option<Outcome>,
    /// The version OPA says it is.
    pub version: Option<String>,
}

/// Why there is no answer.
enum Unanswered {
    /// Nobody is there.
    Away(String),
    /// Somebody was.
    Broken(String),
}

impl Question<'_> {
    /// The answer. While OPA serves another bundle, for it has not yet taken the new one or has already, it is asked again.
    pub(crate) async fn answer(&mut self) -> Outcome {
        // An error does not name its bundle: it counts only between two looks that show the right one.
        let mut looked = false;
        let mut broken = 0;
        loop {
            match self.once(self.entrypoint.as_str()).await {
                Ok(Answer::Value { revision, version, outcome }) => {
                    self.version = Some(version);
                    if self.is_right(revision.as_deref()) {
                        return outcome;
                    }
                    looked = false;
                }
                Ok(Answer::Error(outcome)) if looked && self.look().await => return outcome,
                Ok(Answer::Error(_)) => {
                    looked = self.look().await;
                    if looked {
                        continue;
                    }
                }
                Ok(Answer::Nonsense(words)) => return failure(FailureClass::EngineUnavailable, &words),
                Err(Unanswered::Broken(_)) if broken < BROKEN => broken += 1,
                Err(Unanswered::Broken(words) | Unanswered::Away(words)) => {
                    return failure(FailureClass::EngineUnavailable, &words);
                }
            }
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Whether OPA serves the right bundle now.
    async fn look(&mut self) -> bool {
        match self.once("xagent/no/such/rule").await {
            Ok(Answer::Value { revision, .. }) => self.is_right(revision.as_deref()),
            _ => false,
        }
    }

    fn is_right(&mut self, revision: Option<&str>) -> bool {
        let right = revision == Some(self.bundle.to_string().as_str());
        if !right {
            let found = revision.unwrap_or("no single bundle");
            let message = format!("OPA decides by {found}, not by {}", self.bundle);
            self.last = Some(failure(FailureClass::BundleMissing, &message));
        }
        right
    }

    async fn once(&self, path: &str) -> Result<Answer, Unanswered> {
        let url = format!("{}/v1/data/{path}?provenance=true&strict-builtin-errors=true", self.url);
        let body = format!("{{\"input\":{}}}", self.input.as_str());
        let request = self.http.post(url).header("content-type", "application/json").body(body);
        let (status, body) = send(request).await?;
        Ok(read(status, &body))
    }

    /// Between 10 and 40 ms, spread by what is asked.
    fn pause(&self) -> Duration {
        let spread = self.input.digest().as_bytes().first().copied().unwrap_or_default();
        Duration::from_millis(10 + u64::from(spread) * 30 / 255)
    }
}

async fn send(request: RequestBuilder) -> Result<(u16, Vec<u8>), Unanswered> {
    let unanswered = |error: reqwest::Error| {
        let is_away = error.is_connect();
        let mut words = error.without_url().to_string();
        if words.is_empty() {
            words.push_str("the connection broke");
        }
        if is_away { Unanswered::Away(words) } else { Unanswered::Broken(words) }
    };
    let mut response = request.send().await.map_err(unanswered)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(Unanswered::Away(format!("its answer is larger than {LARGEST} bytes")));
        }
    }
    Ok((response.status().as_u16(), body))
}
