//! A proxy for MCP clients that can neither send a token nor know an upstream's prefix: it adds both.

use std::collections::HashMap;

use reqwest::Method;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::Api;

pub struct NamedProxy {
    pub url: String,
}

impl NamedProxy {
    /// Before the server of `api`, as its principal; the tools `names` are those of the upstream `prefix`.
    pub async fn start(api: Api, prefix: &'static str, names: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/mcp", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let api = api.clone();
                tokio::spawn(async move { pass(stream, &api, prefix, names).await });
            }
        });
        Self { url }
    }
}

/// Passes one request on; its connection ends with the answer.
async fn pass(stream: TcpStream, api: &Api, prefix: &str, names: &[&str]) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let method: Method = line.split(' ').next()?.parse().ok()?;
    let mut headers = HashMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap_or(0));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let mut body = String::from_utf8(body).ok()?;
    for name in names {
        body = body.replace(&format!("\"name\":\"{name}\""), &format!("\"name\":\"{prefix}{name}\""));
        headers.entry("mcp-name".to_owned()).and_modify(|named| {
            if named == name {
                *named = format!("{prefix}{name}");
            }
        });
    }
    let mut request = api.request(method, "/mcp").body(body);
    let hops = ["host", "content-length", "connection", "authorization", "accept-encoding", "transfer-encoding"];
    for (name, value) in headers.iter().filter(|(name, _)| !hops.contains(&name.as_str())) {
        request = request.header(name, value);
    }
    let response = request.send().await.ok()?;
    let status = response.status();
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("text/plain");
    let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}\r\n");
    let body = response.text().await.ok()?.replace(prefix, "");
    head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(head.as_bytes()).await.ok()
}
