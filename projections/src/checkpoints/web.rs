//! A URL outside: texts are put with PUT and read with GET. What cannot be read is never written over.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, IF_NONE_MATCH};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use url::Url;

use super::place::{LONGEST, PlaceError};

const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(5);

/// A URL, to which names are appended. It may hold a user and a password.
#[derive(Clone)]
pub struct Web {
    http: Client,
    url: Url,
}

impl Web {
    pub(super) fn new(mut url: Url) -> Result<Self, PlaceError> {
        url.set_query(None);
        url.set_fragment(None);
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let http = Client::builder().connect_timeout(CONNECT).timeout(ANSWER).redirect(Policy::none()).build();
        let http = http.map_err(|error| PlaceError::Web {
            method: "PUT",
            url: shown(&url),
            detail: error.without_url().to_string(),
        })?;
        Ok(Self { http, url })
    }

    pub(super) async fn read(&self, name: &str) -> Result<Option<String>, PlaceError> {
        let response = self.send("GET", name, self.http.get(self.under(name))).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK => self.text(name, response).await.map(Some),
            status => Err(self.failed("GET", name, &format!("{status}, where 200 or 404 is expected"))),
        }
    }

    pub(super) async fn write(&self, name: &str, text: &str) -> Result<(), PlaceError> {
        let response = self.send("PUT", name, self.put(name, text)).await?;
        self.stored(name, response.status())
    }

    pub(super) async fn keep(&self, name: &str, text: &str) -> Result<(), PlaceError> {
        // Not every server minds the condition, so it is looked first.
        if self.read(name).await?.is_some() {
            return Ok(());
        }
        let response = self.send("PUT", name, self.put(name, text).header(IF_NONE_MATCH, "*")).await?;
        match response.status() {
            StatusCode::PRECONDITION_FAILED => Ok(()),
            status => self.stored(name, status),
        }
    }

    fn put(&self, name: &str, text: &str) -> RequestBuilder {
        self.http.put(self.under(name)).header(CONTENT_TYPE, "text/plain; charset=utf-8").body(text.to_owned())
    }

    async fn send(&self, method: &'static str, name: &str, request: RequestBuilder) -> Result<Response, PlaceError> {
        request.send().await.map_err(|error| self.failed(method, name, &error.without_url().to_string()))
    }

    fn stored(&self, name: &str, status: StatusCode) -> Result<(), PlaceError> {
        if status.is_success() { Ok(()) } else { Err(self.failed("PUT", name, &status.to_string())) }
    }

    async fn text(&self, name: &str, mut response: Response) -> Result<String, PlaceError> {
        let mut bytes = Vec::new();
        let broken = |error: reqwest::Error| self.failed("GET", name, &error.without_url().to_string());
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST {
                return Err(PlaceError::TooLong(shown(&self.under(name))));
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn under(&self, name: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{name}", url.path()));
        url
    }

    fn failed(&self, method: &'static str, name: &str, detail: &str) -> PlaceError {
        PlaceError::Web { method, url: shown(&self.under(name)), detail: detail.to_owned() }
    }
}

/// Without user and password.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

impl fmt::Display for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.url))
    }
}
