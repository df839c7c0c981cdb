//! HTTP GET to exactly the address the decision was made on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use xagent_domain::run::UrlUse;
use xagent_policies::normalise::WebUrl;

use super::Toolkit;
use super::settings::origin_of;

/// A longer body is cut.
const LARGEST: usize = 512 * 1024;
const TIMEOUT: Duration = Duration::from_secs(20);

/// Answers every name with the addresses that were decided on: nothing is looked up a second time.
pub(super) struct Pinned(pub(super) Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

pub(super) async fn http_fetch(kit: &Toolkit, url: Option<&UrlUse>) -> Result<Value, String> {
    let url = url.ok_or("there is no URL to fetch")?;
    let addresses: Vec<SocketAddr> = url
        .addresses
        .iter()
        .filter_map(|address| address.parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, url.port))
        .collect();
    if addresses.is_empty() {
        return Err(format!("`{}` has no address", url.host));
    }
    // A host that spells an address is not resolved: the URL itself must name the one that was decided on.
    let target = WebUrl::parse(&url.raw).map_err(|problem| problem.to_string())?;
    let headers = headers(kit, &origin_of(&target))?;
    let client = reqwest::Client::builder()
        .dns_resolver(Arc::new(Pinned(addresses)))
        .redirect(Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| shown(&error))?;
    let mut response = client.get(target.to_connect()).headers(headers).send().await.map_err(|error| shown(&error))?;
    let status = response.status().as_u16();
    let said = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (content_type, location) = (said("content-type"), said("location"));
    let mut body = Vec::new();
    let mut truncated = false;
    while let Some(chunk) = response.chunk().await.map_err(|error| shown(&error))? {
        let room = LARGEST.saturating_sub(body.len());
        truncated = chunk.len() > room;
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if truncated {
            break;
        }
    }
    let body = String::from_utf8_lossy(&body);
    Ok(json!({
        "body": body, "content_type": content_type, "location": location, "status": status, "truncated": truncated,
    }))
}

/// What is configured for this origin and no other: a secret goes where it was meant to go.
fn headers(kit: &Toolkit, origin: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in kit.http().get(origin).into_iter().flat_map(|origin| &origin.headers) {
        let no_header = |_| format!("the header `{name}` that is configured for {origin} is none");
        let mut value = HeaderValue::from_str(&kit.secrets().fill(value)?).map_err(|_| no_header(()))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name).map_err(|_| no_header(()))?, value);
    }
    Ok(headers)
}

/// The error with its cause, without the URL, which may hold secrets.
fn shown(error: &reqwest::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let kind = if error.is_timeout() { "timed out" } else { "failed" };
    format!("the request {kind}{cause}")
}
