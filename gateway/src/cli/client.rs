//! The API as the command line calls it: over HTTP, with a bearer token.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Certificate, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use xagent_commands::SystemClock;
use xagent_domain::Tenant;
use xagent_ledger::Clock;

use super::error::CliError;
use crate::access::{Grant, Secret, mint};
use crate::problem::Problem;

/// A principal's way to a server.
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
    trusted: Vec<Certificate>,
}

impl Client {
    /// With a token minted now.
    pub fn new(url: &str, secret: &Secret, subject: &str, scopes: &[&str]) -> Result<Self, CliError> {
        Self::bearing(url, client_token(secret, subject, scopes)?, None)
    }

    /// With a token from elsewhere; `ca_file` holds certificates to trust beside the usual ones.
    pub fn bearing(url: &str, token: String, ca_file: Option<&Path>) -> Result<Self, CliError> {
        let trusted = ca_file.map(certificates).transpose()?.unwrap_or_default();
        let client = Self { http: reqwest::Client::new(), url: url.to_owned(), token, trusted };
        let http = client.built(reqwest::Client::builder().timeout(Duration::from_secs(20)))?;
        Ok(Self { http, ..client })
    }

    fn built(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::Client, CliError> {
        let trusting = |builder: reqwest::ClientBuilder, certificate: &Certificate| {
            builder.add_root_certificate(certificate.clone())
        };
        let builder = self.trusted.iter().fold(builder.no_proxy(), trusting);
        builder.build().map_err(|error| CliError::new(error.to_string(), "report this"))
    }

    pub async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.send(self.request(Method::GET, path), &format!("GET {path}")).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.send(self.request(Method::POST, path).json(body), &format!("POST {path}")).await
    }

    /// Posts an OPA bundle.
    pub async fn post_archive(&self, path: &str, bytes: Vec<u8>) -> Result<Value, CliError> {
        let request = self.request(Method::POST, path).header("content-type", "application/gzip").body(bytes);
        self.send(request, &format!("POST {path}")).await
    }

    /// Opens a stream that goes on behind the event `last`. It breaks where nothing comes for `silence`.
    pub async fn open(&self, path: &str, last: Option<&str>, silence: Duration) -> Result<reqwest::Response, CliError> {
        let builder = reqwest::Client::builder().connect_timeout(Duration::from_secs(10)).read_timeout(silence);
        let http = self.built(builder)?;
        let request = http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let response = request.send().await.map_err(|error| self.away(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, text) = (response.status(), response.text().await.map_err(|error| self.away(&error))?);
        Err(self.refused(&format!("GET {path}"), status, &text))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    async fn send(&self, request: RequestBuilder, what: &str) -> Result<Value, CliError> {
        let response = request.send().await.map_err(|error| self.away(&error))?;
        let (status, text) = (response.status(), response.text().await.map_err(|error| self.away(&error))?);
        if status.is_success() {
            return serde_json::from_str(&text)
                .map_err(|error| CliError::new(format!("{what}: {error}"), "report this"));
        }
        Err(self.refused(what, status, &text))
    }

    fn away(&self, error: &reqwest::Error) -> CliError {
        let remedy = "start it with `./dev up` or `xagent serve`";
        CliError::new(format!("{} gives no answer: {error}", self.url), remedy).passing()
    }

    fn refused(&self, what: &str, status: StatusCode, text: &str) -> CliError {
        let error = match serde_json::from_str::<Problem>(text) {
            Ok(problem) => {
                let field = problem.field.map(|field| format!(" ({field})")).unwrap_or_default();
                let page = format!("see {}{}", self.url, problem.kind);
                CliError::new(format!("{what}: {}{field}: {}", problem.title, problem.detail), page)
                    .with_findings(problem.findings)
            }
            Err(_) => CliError::new(format!("{what}: {status}"), "look at the server's log"),
        };
        let passes = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        if passes { error.passing() } else { error }
    }

    /// Reads `path` again and again until `found` finds what it looks for, for at most `patience`.
    pub async fn until<T>(
        &self,
        path: &str,
        patience: Duration,
        found: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, CliError> {
        let deadline = Instant::now() + patience;
        let mut look = tokio::time::interval(Duration::from_millis(50));
        loop {
            look.tick().await;
            let seen = self.get(path).await;
            match seen {
                Ok(seen) => {
                    if let Some(found) = found(&seen) {
                        return Ok(found);
                    }
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => {}
            }
            if Instant::now() > deadline {
                let waited = patience.as_secs();
                return Err(CliError::new(
                    format!("{path} did not come so far in {waited} s"),
                    "look at the server's log",
                ));
            }
        }
    }
}

/// A token signed now.
pub fn development_token(secret: &Secret, grant: &Grant) -> Result<String, CliError> {
    let now_s = SystemClock.now_us() / 1_000_000;
    mint(secret, grant, now_s).map_err(|error| CliError::new(format!("cannot sign: {error}"), "check the secret"))
}

/// A development token for the commands themselves: an hour, in the default tenant.
pub fn client_token(secret: &Secret, subject: &str, scopes: &[&str]) -> Result<String, CliError> {
    development_token(
        secret,
        &Grant {
            subject: subject.to_owned(),
            tenant: Tenant::default_tenant(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            roles: Default::default(),
            lifetime_s: 3600,
        },
    )
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, CliError> {
    let failed = |why: String| CliError::new(format!("{}: {why}", file.display()), "give certificates as PEM");
    let pem = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    let read = Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
    if read.is_empty() { Err(failed("no certificate is in it".to_owned())) } else { Ok(read) }
}
