//! An upstream over streamable HTTP, at exactly the addresses that were decided on.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use xagent_domain::run::UrlUse;
use xagent_domain::upstream::Setting;
use xagent_policies::normalise::WebUrl;

use super::secrets::resolved;
use super::slot::Connection;
use crate::tool::fetch::Pinned;

/// A larger answer is not read.
const LARGEST: usize = 8 * 1024 * 1024;

/// Connects and lets the upstream introduce itself.
pub(super) async fn connect(url: Option<&UrlUse>, headers: &BTreeMap<String, Setting>) -> Result<Connection, String> {
    let url = url.ok_or("no address was decided on")?;
    let at = |address: &String| address.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, url.port));
    let addresses: Vec<SocketAddr> = url.addresses.iter().filter_map(at).collect();
    if addresses.is_empty() {
        return Err(format!("`{}` has no address", url.host));
    }
    // A host that spells an address is not resolved: the URL itself must name the one that was decided on.
    let target = WebUrl::parse(&url.raw).map_err(|problem| problem.to_string())?.to_connect();
    let client =
        reqwest::Client::builder().dns_resolver(Arc::new(Pinned(addresses))).redirect(Policy::none()).no_proxy();
    let client = client.build().map_err(|_| "the HTTP client cannot be made".to_owned())?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(target.to_string()).custom_headers(named(headers)?);
    config.max_json_response_size = LARGEST;
    config.max_sse_event_size = LARGEST;
    let transport = StreamableHttpClientTransport::with_client(client, config);
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = ClientLifecycleMode::Auto { preferred_versions, legacy_version: None };
    let service = ().serve_with_lifecycle(transport, lifecycle).await.map_err(|error| error.to_string())?;
    Ok(Connection { service, child: None })
}

fn named(headers: &BTreeMap<String, Setting>) -> Result<HashMap<HeaderName, HeaderValue>, String> {
    let header = |(name, value): (String, String)| {
        let value =
            HeaderValue::from_str(&value).map_err(|_| format!("the header `{name}` has a value no header has"))?;
        Ok((name.parse().map_err(|_| format!("`{name}` is not the name of a header"))?, value))
    };
    resolved(headers)?.into_iter().map(header).collect()
}
