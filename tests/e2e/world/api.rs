//! The API as a client uses it.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use xagent_ledger::Clock;

use xagent_tests::{Now, until};

use super::SECRET;
use super::described::Heard;

#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    pub(super) url: String,
    pub(super) token: String,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub retry_after: Option<String>,
    pub content_type: String,
    pub headers: HeaderMap,
}

impl Answer {
    /// A header, where it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The claims of a good token.
pub fn claims(tenant: &str, subject: &str, scopes: &[&str], roles: &[&str]) -> Value {
    let now_s = Now.now_us() / 1_000_000;
    json!({
        "sub": subject, "iss": "xagent", "aud": "xagent", "iat": now_s, "nbf": now_s - 1, "exp": now_s + 3600,
        "tenant": tenant, "scope": scopes.join(" "), "roles": roles,
    })
}

pub fn signed(claims: &Value, algorithm: Algorithm, secret: &str) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

impl Api {
    pub fn new(url: &str, tenant: &str, subject: &str, scopes: &[&str], roles: &[&str]) -> Self {
        let token = signed(&claims(tenant, subject, scopes, roles), Algorithm::HS256, SECRET);
        Self::with_token(url, &token)
    }

    pub fn with_token(url: &str, token: &str) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().unwrap();
        Self { http, url: url.to_owned(), token: token.to_owned() }
    }

    /// The token it sends.
    pub fn bearer(&self) -> &str {
        &self.token
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// A command under a fresh key.
    pub fn command(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path).header("idempotency-key", format!("{:032x}", rand::random::<u128>()))
    }

    /// The answer to any request.
    pub async fn answer(&self, request: RequestBuilder) -> Answer {
        answer(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.command(path).json(body)).await
    }

    pub async fn post_with_key(&self, path: &str, body: &Value, key: &str) -> Answer {
        answer(self.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    }

    pub async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        answer(self.command(path).header("content-type", "application/json").body(body)).await
    }

    /// Posts an OPA bundle.
    pub async fn post_archive(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        answer(self.command(path).header("content-type", "application/gzip").body(body)).await
    }

    /// Starts a run that this client drives.
    pub async fn start_client_run(&self) -> String {
        self.start(&json!({"agent": "a", "goal": "g"})).await
    }

    /// Starts a run on a plan.
    pub async fn start_plan(&self, steps: Value, workspace: &std::path::Path) -> String {
        self.start(&json!({"agent": "a", "goal": "g", "plan": {"steps": steps}, "workspace": workspace})).await
    }

    /// Starts a run.
    pub async fn start(&self, body: &Value) -> String {
        self.post("/v1/runs", body).await.expect(201)["run"].as_str().unwrap().to_owned()
    }

    /// Waits until the run is what `found` looks for.
    pub async fn run_until<T>(&self, run: &str, what: &str, found: impl Fn(&Value) -> Option<T>) -> T {
        until(what, async || {
            let answer = self.get(&format!("/v1/runs/{run}")).await;
            (answer.status == 200).then(|| found(&answer.body)).flatten()
        })
        .await
    }

    pub async fn run_ended(&self, run: &str) -> Value {
        let ended = |run: &Value| matches!(run["status"].as_str(), Some("completed" | "failed" | "cancelled"));
        self.run_until(run, "the run has ended", |run| ended(run).then(|| run.clone())).await
    }

    /// All events of a run, payloads only, in order.
    pub async fn events(&self, run: &str) -> Vec<Value> {
        let page = self.get(&format!("/v1/runs/{run}/events?limit=1000")).await.expect(200);
        assert_eq!(page["next"], Value::Null);
        page["items"].as_array().unwrap().clone()
    }

    /// How many events of a type a run has.
    pub async fn count(&self, run: &str, event_type: &str) -> usize {
        self.events(run).await.iter().filter(|event| event["event_type"] == event_type).count()
    }
}

/// What a step of a run gave back, where it is short enough to be in the event.
pub fn output(run: &Value, step: &str) -> Value {
    let output = &run["state"]["results"][step]["output"];
    serde_json::from_str(output["text"].as_str().unwrap_or_else(|| panic!("{step}: {run:#}"))).unwrap()
}

impl Answer {
    /// The body, where the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    /// The problem details, where they are of this kind.
    #[track_caller]
    pub fn problem(self, status: u16, kind: &str) -> Value {
        assert_eq!(self.content_type, "application/problem+json", "{:#}", self.body);
        let body = self.expect(status);
        assert_eq!(body["type"], format!("/errors/{kind}"), "{body:#}");
        assert_eq!(body["status"], status);
        assert_eq!(body["trace_id"].as_str().unwrap().len(), 32);
        body
    }
}

async fn answer(request: RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, path) = (request.method().to_string(), request.url().path().to_owned());
    match client.execute(request).await {
        Ok(response) => {
            let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
            let (status, retry_after) = (response.status().as_u16(), header("retry-after"));
            let content_type = header("content-type").unwrap_or_default();
            let headers = response.headers().clone();
            let text = response.text().await.inspect(|text| {
                Heard { method: &method, path: &path, status, content_type: &content_type, text }.check();
            });
            let text = text.unwrap_or_default();
            let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
            Answer { status, body, retry_after, content_type, headers }
        }
        Err(error) => {
            let body = Value::String(error.to_string());
            Answer { status: 0, body, retry_after: None, content_type: String::new(), headers: HeaderMap::new() }
        }
    }
}
